/** kube-proxy's layout in iptables-nft with packets, TCP and UDP: what policies say, and who is refused. */
import { halves, playIptables } from '../compliance/iptables-tables.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

await playIptables({ variant: 'nft', ipset: false, dispatch: 'flat' }, halves.rules)
