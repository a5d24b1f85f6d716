/** Chains of the layout, whatever the Services are. */
export const fixedChainNames: ReadonlySet<string> = new Set([
  'WEIR-IPVS-INPUT',
  'WEIR-IPVS-OUTPUT',
  'WEIR-IPVS-SOURCE-RANGES',
  'KUBE-FORWARD',
  'KUBE-PROXY-FIREWALL',
  'KUBE-SOURCE-RANGES-FIREWALL',
  'KUBE-NODE-PORT',
  'KUBE-IPVS-FILTER',
  'KUBE-IPVS-OUT-FILTER',
  'KUBE-SERVICES',
  'KUBE-LOAD-BALANCER',
  'KUBE-POSTROUTING',
  'KUBE-MARK-MASQ',
])
