import { expect, test } from 'vitest'
import { KernelError } from './error.ts'

test('says what was done, what the kernel answered, and why', () => {
  const error = KernelError.ofErrno('commit to ip weir', 17, { detail: 'set exists', offset: 52, tag: 'a' })
  expect(error).toMatchObject({ code: 'exists', errno: 17, offset: 52, tag: 'a', op: 'commit to ip weir' })
  expect(error.message).toBe('commit to ip weir: EEXIST: set exists')
})

test.each([
  [1, 'permission'],
  [2, 'notFound'],
  [16, 'busy'],
  [22, 'invalid'],
  [85, 'stale'],
  [90, 'tooLarge'],
  [95, 'unsupported'],
  [105, 'overflow'],
  [9999, 'io'],
] as const)('errno %i is %s', (errno, code) => {
  expect(KernelError.ofErrno('x', errno).code).toBe(code)
})

test('keeps the cause of a system error', () => {
  const cause = Object.assign(new Error('EMSGSIZE'), { errno: -90, code: 'EMSGSIZE' })
  expect(KernelError.ofSystem('send', cause)).toMatchObject({ code: 'tooLarge', errno: 90, cause })
})
