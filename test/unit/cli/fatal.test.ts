import { expect, describe as group, it } from 'vitest'
import { describe, FatalError, nftUnusable } from '../../../src/cli/fatal.ts'
import { ConfigError } from '../../../src/config/config-error.ts'
import { KernelError } from '../../../src/kernel/netlink/error.ts'
import { ObserveError } from '../../../src/observe/error.ts'

group('describe', () => {
  it('has one line, whatever a program quoted', () => {
    const error = new KernelError({ code: 'invalid', op: 'nft -f -', detail: '/dev/stdin:1:1: Error: no\nadd x\n^^^' })
    expect(describe(error)).toBe('nft -f -: /dev/stdin:1:1: Error: no')
    expect(describe(new Error('\n  \nsecond'))).toBe('second')
    expect(describe('just text\nand more')).toBe('just text')
  })

  it('has every line of a wrong configuration', () => {
    const issues = [
      { field: 'mode', reason: 'Invalid value' },
      { field: 'oomScoreAdj', reason: 'Invalid value' },
    ]
    expect(describe(new ConfigError('invalid', issues))).toBe('mode: Invalid value\noomScoreAdj: Invalid value')
  })

  it.each([
    ['portInUse', 'cannot listen 0.0.0.0:10256: the address is in use'],
    ['addressNotAvailable', 'cannot listen 0.0.0.0:10256: no interface has the address'],
    ['permission', 'cannot listen 0.0.0.0:10256: permission denied'],
  ] as const)('says of a port: %s', (code, line) => {
    expect(describe(new ObserveError(code, 'listen 0.0.0.0:10256', new Error('bind EX')))).toBe(line)
  })
})

group('nftUnusable', () => {
  it.each([
    ['EPERM', 1, 'no permission to change nftables: CAP_NET_ADMIN is needed'],
    ['EPROTONOSUPPORT', 93, 'this kernel has no nf_tables: socket(AF_NETLINK): EPROTONOSUPPORT'],
    ['EMFILE', 24, 'nftables cannot be used: socket(AF_NETLINK): EMFILE'],
  ])('%s', (_name, errno, line) => {
    const error = nftUnusable(KernelError.ofErrno('socket(AF_NETLINK)', errno))
    expect(error).toBeInstanceOf(FatalError)
    expect(error.message).toBe(line)
  })
})
