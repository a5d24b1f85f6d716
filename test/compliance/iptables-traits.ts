import { iptablesCapabilities } from '../../src/backends/iptables/backend.ts'
import type { Dispatch } from '../../src/backends/iptables/settings.ts'
import type { Traits } from '../flows/flow.ts'

/** What the iptables backend can be told to do differently. The rules differ, what becomes of packets does not. */
export interface IptablesLayout {
  readonly ipset: boolean
  readonly dispatch: Dispatch
}

export const iptablesLayouts: readonly IptablesLayout[] = [
  { ipset: false, dispatch: 'flat' },
  { ipset: true, dispatch: 'flat' },
  { ipset: false, dispatch: 'tree' },
  { ipset: true, dispatch: 'tree' },
]

/** `plain`, `ipset`, `tree` or `ipset and tree`. */
export const layoutName = ({ ipset, dispatch }: IptablesLayout): string =>
  [...(ipset ? ['ipset'] : []), ...(dispatch === 'tree' ? ['tree'] : [])].join(' and ') || 'plain'

export const iptablesTraits: Traits = {
  ...iptablesCapabilities,
  unusedPorts: 'routed',
  unusedClusterIPs: 'routed',
  pings: 'routed',
  // KUBE-EXTERNAL-SERVICES is hooked into INPUT and FORWARD, not into OUTPUT.
  externalFromNode: 'routed',
  rangesWithoutEndpoints: false,
  affinityOf: 'servicePort',
  staleFlows: 'kept',
  olderFlows: 'kept',
  keepsSource: true,
  flowsIn: 'kernel',
}
