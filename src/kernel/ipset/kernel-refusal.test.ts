import { describe, expect, test } from 'vitest'
import { KernelError } from '../netlink/error.ts'
import { explain } from './kernel-refusal.ts'

const op = 'add WEIR-4-REJECT'

/** linux/netfilter/ipset/ip_set.h and errno.h */
test.each([
  [1, 'permission'],
  [2, 'notFound'],
  [12, 'io'],
  [16, 'busy'],
  [17, 'exists'],
  [22, 'invalid'],
  [4097, 'invalid'],
  [4098, 'unsupported'],
  [4099, 'full'],
  [4100, 'busy'],
  [4101, 'notFound'],
  [4102, 'typeMismatch'],
  [4103, 'exists'],
  [4104, 'invalid'],
  [4108, 'busy'],
  [4109, 'invalid'],
  [4200, 'io'],
  [4352, 'full'],
  [4353, 'invalid'],
  [4399, 'io'],
] as const)('errno %i is %s', (errno, code) => {
  const cause = KernelError.ofErrno(op, errno)
  expect(explain(cause, { op, type: 'hash:ip,port' })).toMatchObject({ name: 'IpsetError', code, op, cause })
})

describe('the words', () => {
  test('name the member and the error of the kernel', () => {
    const cause = KernelError.ofErrno(op, 4352)
    expect(explain(cause, { op, type: 'hash:ip,port', member: '10.96.0.1,tcp:80' })).toMatchObject({
      member: '10.96.0.1,tcp:80',
      message: 'add WEIR-4-REJECT: 10.96.0.1,tcp:80: the set is full (IPSET_ERR_HASH_FULL)',
    })
  })

  test('a number means something else in a bitmap', () => {
    expect(explain(KernelError.ofErrno(op, 4352), { op, type: 'bitmap:port' })).toMatchObject({
      code: 'invalid',
      message: 'add WEIR-4-REJECT: outside the range of the set (IPSET_ERR_BITMAP_RANGE)',
    })
  })

  test('what the kernel says beyond the number is kept', () => {
    const cause = KernelError.ofErrno(op, 22, { detail: 'attribute type 2 has an invalid length' })
    expect(explain(cause, { op })).toMatchObject({
      message: 'add WEIR-4-REJECT: EINVAL: attribute type 2 has an invalid length',
    })
  })

  test('what is not from the kernel stays as it is', () => {
    const reason = new Error('enough')
    expect(explain(reason, { op })).toBe(reason)
  })
})
