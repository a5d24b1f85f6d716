/** Chains of the layout that are there whatever the Services are; KUBE-FIREWALL is kubelet's as well. */
export const fixedChainNames: ReadonlySet<string> = new Set([
  'KUBE-SERVICES',
  'KUBE-EXTERNAL-SERVICES',
  'KUBE-NODEPORTS',
  'KUBE-FORWARD',
  'KUBE-PROXY-FIREWALL',
  'KUBE-POSTROUTING',
  'KUBE-MARK-MASQ',
  'KUBE-FIREWALL',
  'KUBE-PROXY-CANARY',
])
