import { describe, expect, it } from 'vitest'
import { probeNft } from '../../../src/backends/nftables/probe.ts'
import { KernelError, type KernelErrorCode } from '../../../src/kernel/netlink/error.ts'
import { FakeNft } from '../../../src/kernel/nft/fake.ts'

const { signal } = new AbortController()

const probe = (version: string, failure?: Error) => {
  const client = new FakeNft(version)
  client.failNext = failure
  return probeNft(client, signal)
}

const failed = (code: KernelErrorCode, detail: string): KernelError => new KernelError({ code, op: 'nft -f -', detail })

/** What `nft` says of a kernel that is too old cannot be had from the kernel that runs the tests. */
describe('probeNft', () => {
  it.each(['1.0.1', '1.0.6', '1.1', '1.1.3', '2.0.0'])('takes nft %s', async (version) => {
    expect(await probe(version)).toEqual({ kind: 'supported' })
  })

  it.each(['0.9.8', '1.0.0', '1.0', '0.10.99'])('refuses nft %s', async (version) => {
    const why = `nft ${version} is too old: 1.0.1 or newer is needed`
    expect(await probe(version)).toEqual({ kind: 'unsupported', why })
  })

  it.each([
    ['missing', 'nft is not installed', 'the program `nft` is not installed (Debian package nftables)'],
    ['permission', 'Operation not permitted', 'no permission to change nftables: CAP_NET_ADMIN is needed'],
    ['unsupported', 'Error: Operation not supported', /this kernel lacks .* nft -f -: Error: Operation not supported/],
    ['notFound', 'Error: No such file or directory', /this kernel lacks .* No such file or directory/],
    ['invalid', 'Error: Invalid argument', /this kernel lacks .* Invalid argument/],
  ] as const)('tells %s', async (code, detail, why) => {
    const expected = typeof why === 'string' ? why : expect.stringMatching(why)
    expect(await probe('1.0.6', failed(code, detail))).toEqual({ kind: 'unsupported', why: expected })
  })

  it.each([failed('io', 'killed'), failed('busy', 'busy'), new Error('out of memory')])(
    'does not take %s for a lack of support',
    async (cause) => {
      expect(await probe('1.0.6', cause)).toEqual({ kind: 'unknown', cause })
    },
  )
})
