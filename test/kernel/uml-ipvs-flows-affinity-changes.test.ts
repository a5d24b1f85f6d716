/** Session affinity of IPVS while endpoints and Services change. */
import { playAffinityChanges } from '../compliance/affinity.ts'
import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({}, playAffinityChanges)
