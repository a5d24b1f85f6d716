/** The tables of test/flows on IPVS, TCP and UDP: where NodePorts are, and who may come. */
import { fifths, playIpvs } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvs(fifths.addresses)
