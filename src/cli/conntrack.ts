import type { Config } from '../config/config.ts'
import { ensureInteger, type Sysctl } from '../kernel/sysctl/sysctl.ts'
import { describe, FatalError } from './fatal.ts'

const tcpBeLiberal = 'net/netfilter/nf_conntrack_tcp_be_liberal'

/**
 * What of the kernel's connection tracking the configuration asks to be set. Whether anything was asked for.
 *
 * @throws FatalError when it cannot be set
 */
export const applyConntrack = async (
  { conntrack }: Pick<Config, 'conntrack'>,
  sysctl: Sysctl,
  signal: AbortSignal,
): Promise<boolean> => {
  if (!conntrack.tcpBeLiberal) return false
  try {
    await ensureInteger(sysctl, tcpBeLiberal, 1, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw new FatalError(`cannot do what conntrack.tcpBeLiberal asks for: ${describe(error)}`, error)
  }
  return true
}
