/** What depends on the node itself, and UDP flows while things change. */
import { playScenarios } from '../compliance/iptables-scenarios.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playScenarios(
  [
    { variant: 'nft', ipset: false, dispatch: 'flat' },
    { variant: 'legacy', ipset: true, dispatch: 'tree' },
  ],
  ['node', 'UDP flows'],
)
