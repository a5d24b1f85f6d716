/** Sequences, shares and what moves, with real connections. */
import t from 'tap'
import { SchedulingScenarios } from '../compliance/scheduling.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest({ udpSessionMs: 1_000 })

await new SchedulingScenarios(backend, stage).play()
