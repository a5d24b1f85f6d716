/** Session affinity by `recent`: kube-proxy's layout in iptables-nft, sets and a tree in iptables-legacy. */
import { playScenarios } from '../compliance/iptables-scenarios.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playScenarios(
  [
    { variant: 'nft', ipset: false, dispatch: 'flat' },
    { variant: 'legacy', ipset: true, dispatch: 'tree' },
  ],
  ['affinity', 'affinity through changes'],
)
