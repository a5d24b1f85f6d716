/** What keeps its endpoint and what moves under the hashing schedulers of IPVS, with real connections. */

import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { SchedulingScenarios } from '../compliance/scheduling.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true, udpSeconds: 1 }, (backend, stage) =>
  new SchedulingScenarios(backend, stage).play(['sh', 'mh']),
)
