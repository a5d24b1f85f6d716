import { hostname } from 'node:os'
import type { Config, DetectLocalConfig } from '../config/config.ts'
import { nodePortSelection } from '../config/node-port-selection.ts'
import type { DetectLocal } from '../desired/detect-local.ts'
import type { HostSettings } from '../desired/host-state.ts'
import { assertNever } from '../model/assert-never.ts'
import { defaultScheduling } from '../model/scheduling.ts'

/** Must equal the Node object's name: kube-proxy lower-cases the host name too. */
export const nodeNameOf = ({ hostnameOverride }: Config): string => hostnameOverride ?? hostname().trim().toLowerCase()

const detectLocal = (config: DetectLocalConfig): DetectLocal => {
  switch (config.mode) {
    case 'ClusterCIDR':
      return { kind: 'ClusterCIDR', cidrs: config.clusterCidrs }
    case 'NodeCIDR':
      return { kind: 'NodeCIDR' }
    case 'BridgeInterface':
      return { kind: 'BridgeInterface', name: config.bridgeInterface }
    case 'InterfaceNamePrefix':
      return { kind: 'InterfaceNamePrefix', prefix: config.interfaceNamePrefix }
    default:
      return assertNever(config.mode, 'detect-local mode')
  }
}

/** What Services get that ask for no scheduler, or for one that cannot be had. In mode ipvs any name that the kernel knows. */
export const defaultSchedulerOf = ({ mode, ipvs }: Pick<Config, 'mode' | 'ipvs'>): string =>
  mode === 'ipvs' ? ipvs.scheduler || 'rr' : defaultScheduling.scheduler

/** The part of the configuration that the rules depend on. */
export const hostSettings = (config: Config): HostSettings => ({
  bindAddress: config.nodeIPOverride,
  nodePortAddresses: nodePortSelection(config),
  loopbackNodePorts: config.mode === 'userspace' || (config.mode === 'iptables' && config.iptables.localhostNodePorts),
  detectLocal: detectLocal(config.detectLocal),
  masqueradeAll: config.masqueradeAll,
  masqueradeBit: config.masqueradeBit,
})
