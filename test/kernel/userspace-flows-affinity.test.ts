/** Session affinity with real clients: by address, over time and through changes. */
import t from 'tap'
import { playAffinity, playAffinityChanges } from '../compliance/affinity.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest()

await playAffinity(backend, stage)
await playAffinityChanges(backend, stage)
