/** The tables of test/flows on IPVS, TCP and UDP: what counts as an endpoint, who is refused, who owns an address. */
import { playIpvs, quarters } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvs(quarters.endpoints)
