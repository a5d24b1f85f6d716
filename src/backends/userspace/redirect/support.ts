import type { NftClient } from '../../../kernel/nft/client.ts'
import type { HostState } from '../../../model/host.ts'
import type { Family } from '../../../model/ip.ts'
import type { Support } from '../../backend.ts'
import { unsupportedBy } from '../../nft-support.ts'
import { probeScript } from './script.ts'

/** Whether this kernel, this `nft` and our privileges are enough for the table: all of it is written, and taken back. */
export const redirectSupport = async (client: NftClient, family: Family, signal: AbortSignal): Promise<Support> => {
  try {
    await client.runText(probeScript(plainHost(family)), signal)
    return { kind: 'supported' }
  } catch (error) {
    return unsupportedBy(error, 'this kernel, or nft, lacks something that the rules need')
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
