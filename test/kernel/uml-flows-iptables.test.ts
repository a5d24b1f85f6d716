/** The layout of mode iptables once more on another kernel, where `legacy` is all there is: tables of test/flows in a guest. */
import { playIptables } from '../compliance/iptables-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIptables({ variant: 'legacy', ipset: true, dispatch: 'flat' }, ['reach', 'topology'], ['TCP'])
