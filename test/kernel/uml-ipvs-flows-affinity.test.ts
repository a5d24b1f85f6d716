/** Session affinity of IPVS: templates of connections. */
import { playAffinity } from '../compliance/affinity.ts'
import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({}, playAffinity)
