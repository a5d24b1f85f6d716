import type { Dispatch, IptablesSettings } from '../backends/iptables/settings.ts'
import type { Config } from '../config/config.ts'
import type { Family } from '../model/ip.ts'

/** What the kernel and the tools of a node can do, and what its settings were at start. */
export interface IptablesFacts {
  readonly dropInvalid: boolean
  readonly randomFully: boolean
  readonly nfacct: boolean
  /** The kernel has sets, so they can be had where they are asked for. */
  readonly ipset: boolean
}

const dispatches: Readonly<Record<Config['iptables']['dispatch'], Dispatch>> = { flat: 'flat', tree: 'tree' }

export const iptablesSettings = (
  { iptables }: Pick<Config, 'iptables'>,
  family: Family,
  facts: IptablesFacts,
): IptablesSettings => ({
  family,
  localhostNodePorts: family === 'IPv4' && iptables.localhostNodePorts,
  dropInvalid: facts.dropInvalid,
  randomFully: facts.randomFully,
  nfacct: facts.nfacct,
  ipset: iptables.ipset && facts.ipset,
  dispatch: dispatches[iptables.dispatch],
})
