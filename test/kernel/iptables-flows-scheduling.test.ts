/** Shares, turns, and what iptables has no words for: replaced by random. */
import { playScenarios } from '../compliance/iptables-scenarios.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playScenarios(
  [
    { variant: 'nft', ipset: false, dispatch: 'flat' },
    { variant: 'legacy', ipset: true, dispatch: 'tree' },
  ],
  ['scheduling'],
)
