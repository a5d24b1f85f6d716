import { type NodeFacts, prepareNode } from '../backends/iptables/prepare.ts'
import type { Config } from '../config/config.ts'
import { nodePortSelection } from '../config/node-port-selection.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { openNfacct } from '../kernel/nfacct/netlink-nfacct.ts'
import type { Nfacct } from '../kernel/nfacct/nfacct.ts'
import { ProcSysctl } from '../kernel/sysctl/proc-sysctl.ts'
import type { Sysctl } from '../kernel/sysctl/sysctl.ts'
import { SysctlError } from '../kernel/sysctl/sysctl-error.ts'
import { FatalError } from './fatal.ts'

export interface PrepareParts {
  readonly servesIPv4: boolean
  readonly nfacct: Nfacct | undefined
  readonly sysctl?: Sysctl
}

/** @throws FatalError when NodePorts are to answer on 127.0.0.1 and the kernel cannot be told so */
export const prepareIptables = async (
  config: Config,
  { servesIPv4, nfacct, sysctl = new ProcSysctl() }: PrepareParts,
  signal: AbortSignal,
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

/** Counting packets is a convenience: undefined where the kernel does not let us. */
export const tryNfacct = (): Nfacct | undefined => {
  try {
    return openNfacct()
  } catch (error) {
    if (error instanceof KernelError) return undefined
    throw error
  }
}
