/** Schedulers that go by open connections: all that the process forwards count, whichever thread has them. */
import t from 'tap'
import { playSchedulers } from '../compliance/counting-schedulers.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())

await playSchedulers(new UserspaceUnderTest(), stage)
await playSchedulers(new UserspaceUnderTest({ threads: 2 }), stage, ['lc', 'wlc', 'sed'])
