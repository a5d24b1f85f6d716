/** Connections through IPVS, new and established, while endpoints, Services, rules and the proxy change: IPv6. */
import { ChangeScenarios } from '../compliance/changes.ts'
import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { ipv6 } from '../flows/net.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true }, (backend, stage) => new ChangeScenarios(backend, stage).play([ipv6]))
