import { iptablesCapabilities } from '../../src/backends/iptables/backend.ts'
import type { Dispatch } from '../../src/backends/iptables/settings.ts'
import type { Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import { withBallast } from './ballast.ts'

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

/** What a cluster needs besides for the layout to show: so few entries as a case has make no tree. */
export const furnish = ({ dispatch }: IptablesLayout, objects: readonly Manifest[]): readonly Manifest[] =>
  dispatch === 'tree' ? withBallast(objects) : objects

export const iptablesTraits: Traits = {
  ...iptablesCapabilities,
  unusedPorts: 'routed',
  unusedClusterIPs: 'routed',
  pings: 'routed',
  // KUBE-EXTERNAL-SERVICES is hooked into INPUT and FORWARD, not into OUTPUT.
  externalFromNode: 'routed',
  unusedExternalPorts: 'routed',
  fromNodeUndetected: 'direct',
  lackedScheduler: 'lc',
  rangesWithoutEndpoints: false,
  endpointOrder: 'sorted',
  affinityOf: 'servicePort',
  affinityEnds: 'inTime',
  staleFlows: 'moved',
  olderFlows: 'moved',
  serviceGone: 'kept',
  keepsSource: true,
  flowsIn: 'kernel',
}
