/** Turns and shares of the schedulers of IPVS, with real connections. */

import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { SchedulingScenarios } from '../compliance/scheduling.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true }, (backend, stage) =>
  new SchedulingScenarios(backend, stage).play(['random', 'rr', 'wrr', 'dh']),
)
