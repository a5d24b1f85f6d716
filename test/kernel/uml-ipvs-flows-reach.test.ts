/** The tables of test/flows on IPVS, TCP and UDP: who is reached, and where. */
import { playIpvs, quarters } from '../compliance/ipvs-tables.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvs(quarters.reach)
