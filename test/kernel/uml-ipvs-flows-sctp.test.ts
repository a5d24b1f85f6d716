/** SCTP on IPVS, first packets of associations: the tables of test/flows. */
import t from 'tap'
import { ipvsTraits } from '../compliance/ipvs.ts'
import { playIpvs } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

t.ok(ipvsTraits.sctp, 'the backend declares SCTP')
await playIpvs(['reach', 'policies', 'source ranges', 'unwanted'], ['SCTP'])
