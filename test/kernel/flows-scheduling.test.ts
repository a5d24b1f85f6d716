/** Schedulers and weights with real connections. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playTable } from '../compliance/run-flows.ts'
import { SchedulingScenarios } from '../compliance/scheduling.ts'
import { Stage } from '../compliance/stage.ts'
import { weights } from '../flows/weights.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const protocols = ['TCP', 'UDP'] as const
const stage = await Stage.create(protocols)
t.teardown(() => stage.close())
const backend = new NftablesUnderTest()

await playTable('weights', weights, { backend, stage, protocols })
await new SchedulingScenarios(backend, stage).play()
