/** Connections through IPVS, new and established, while endpoints, Services, rules and the proxy change: IPv4. */
import { ChangeScenarios } from '../compliance/changes.ts'
import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { ipv4 } from '../flows/net.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true }, (backend, stage) => new ChangeScenarios(backend, stage).play([ipv4]))
