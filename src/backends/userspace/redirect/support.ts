import { KernelError } from '../../../kernel/netlink/error.ts'
import type { NftClient } from '../../../kernel/nft/client.ts'
import type { HostState } from '../../../model/host.ts'
import type { Family } from '../../../model/ip.ts'
import type { Support } from '../../backend.ts'
import { probeScript } from './script.ts'

/** Whether this kernel, this `nft` and our privileges are enough for the table: all of it is written, and taken back. */
export const redirectSupport = async (client: NftClient, family: Family, signal: AbortSignal): Promise<Support> => {
  try {
    await client.runText(probeScript(plainHost(family)), signal)
    return { kind: 'supported' }
  } catch (error) {
    if (!(error instanceof KernelError)) return { kind: 'unknown', cause: error }
    switch (error.code) {
      case 'missing':
        return { kind: 'unsupported', why: 'the program `nft` is not installed (Debian package nftables)' }
      case 'permission':
        return { kind: 'unsupported', why: 'no permission to change nftables: CAP_NET_ADMIN is needed' }
      case 'unsupported':
      case 'notFound':
      case 'invalid':
        return {
          kind: 'unsupported',
          why: `this kernel, or nft, lacks something that the rules need: ${error.message}`,
        }
      default:
        return { kind: 'unknown', cause: error }
    }
  }
}

const plainHost = (family: Family): HostState => ({
  family,
  detector: { kind: 'none' },
  masqueradeAll: false,
  masqueradeMark: 0,
  nodePortAddresses: { kind: 'all' },
  serviceCidrs: [],
  addresses: [],
})
