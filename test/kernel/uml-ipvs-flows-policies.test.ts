/** The tables of test/flows on IPVS, TCP and UDP: what policies say, what nobody wants, and who owns an address. */
import { fifths, playIpvs } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvs(fifths.policies)
