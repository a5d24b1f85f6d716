import { type NodeFacts, prepareNode } from '../backends/iptables/prepare.ts'
import type { Config } from '../config/config.ts'
import { nodePortSelection } from '../config/node-port-selection.ts'
import { ProcSysctl } from '../kernel/sysctl/proc-sysctl.ts'
import { SysctlError } from '../kernel/sysctl/sysctl-error.ts'
import { FatalError } from './fatal.ts'
import { openNfacct } from './pending.ts'

/** @throws FatalError when NodePorts are to answer on 127.0.0.1 and the kernel cannot be told so */
export const prepareIptables = async (
  config: Config,
  servesIPv4: boolean,
  signal: AbortSignal,
  { sysctl = new ProcSysctl(), nfacct = openNfacct() } = {},
): Promise<NodeFacts> => {
  const localhostNodePorts = servesIPv4 && config.iptables.localhostNodePorts
  const nodePortAddresses = nodePortSelection(config)
  try {
    return await prepareNode({ localhostNodePorts, nodePortAddresses, sysctl, nfacct }, signal)
  } catch (error) {
    if (!(error instanceof SysctlError)) throw error
    const ways = 'switch iptables.localhostNodePorts off, or leave 127.0.0.0/8 out of nodePortAddresses'
    throw new FatalError(`NodePorts on 127.0.0.1 need what cannot be set: ${error.message}; otherwise ${ways}`, error)
  }
}
