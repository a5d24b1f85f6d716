/** The schedulers of IPVS that go by open connections, with real ones. */
import { playSchedulers } from '../compliance/counting-schedulers.ts'
import { playIpvsScenarios } from '../compliance/ipvs-scenarios.ts'
import { ownGuest } from '../support/uml-file.ts'

ownGuest(import.meta.url)

await playIpvsScenarios({ keep: true }, (backend, stage) =>
  playSchedulers(backend, stage, ['lc', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'lblc', 'lblcr']),
)
