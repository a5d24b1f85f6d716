/** Mode userspace with nftables: flows lead to sockets of this process. */
import t from 'tap'
import { Stage } from '../compliance/stage.ts'
import { playStaleFlows } from '../compliance/stale-flows.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['UDP'])
t.teardown(() => stage.close())

await playStaleFlows(new UserspaceUnderTest(), stage)
