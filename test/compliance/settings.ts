import type { Settings } from '../flows/flow.ts'
import { clusterCidr } from '../flows/masquerade.ts'
import { nets } from '../flows/net.ts'

/** What a case leaves open: pods are told by the cluster's networks, NodePorts are on the node's own addresses. */
export const defaultSettings: Settings = {
  bindAddress: undefined,
  nodePortAddresses: 'primary',
  loopbackNodePorts: false,
  detectLocal: { kind: 'ClusterCIDR', cidrs: nets.flatMap((net) => clusterCidr(net).cidrs) },
  masqueradeAll: false,
  masqueradeBit: 14,
  proxyName: undefined,
  allowExternalIPs: true,
}
