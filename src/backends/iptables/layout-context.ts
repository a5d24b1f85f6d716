import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { LayoutContext } from './layout.ts'
import type { IptablesSettings } from './settings.ts'

/** kube-proxy leaves out comments per endpoint above this many endpoints in a family (largeClusterEndpointsThreshold). */
const largeClusterEndpoints = 1000

/** Endpoints of a service port that traffic may go to here, each once. */
export const endpointCount = ({ cluster, local }: ServiceState): number =>
  local.length === 0 ? cluster.length : new Set([...cluster, ...local]).size

export const layoutContext = (host: HostState, settings: IptablesSettings, endpoints: number): LayoutContext => ({
  host,
  settings,
  large: endpoints > largeClusterEndpoints,
})
