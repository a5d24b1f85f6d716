/** Sets and a tree in iptables-legacy with packets, TCP and UDP: who is reached, and where. */
import { halves, playIptables } from '../compliance/iptables-tables.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playIptables({ variant: 'legacy', ipset: true, dispatch: 'tree' }, halves.reach)
