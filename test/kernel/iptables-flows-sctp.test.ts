/** SCTP, for which bitmap:port has no place: NodePorts are rules with sets too. The tables of test/flows on the kernel. */
import t from 'tap'
import { playIptables } from '../compliance/iptables-tables.ts'
import { iptablesTraits } from '../compliance/iptables-traits.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

t.ok(iptablesTraits.sctp, 'the backend declares SCTP')
await playIptables(
  { variant: 'nft', ipset: true, dispatch: 'tree' },
  ['reach', 'NodePort addresses', 'masquerade', 'policies', 'source ranges', 'unwanted'],
  ['SCTP'],
)
