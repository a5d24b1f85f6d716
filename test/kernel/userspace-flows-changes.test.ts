/** Connections, new and established, while endpoints, Services, rules and the proxy change. */
import t from 'tap'
import { ChangeScenarios } from '../compliance/changes.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest()

await new ChangeScenarios(backend, stage).play()
