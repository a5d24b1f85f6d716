/** The tables of test/flows on IPVS, TCP and UDP: what counts as an endpoint. */
import { fifths, playIpvs } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvs(fifths.endpoints)
