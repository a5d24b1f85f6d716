/** What depends on the node itself, and UDP sessions while things change. */
import t from 'tap'
import { playNode } from '../compliance/node.ts'
import { Stage } from '../compliance/stage.ts'
import { playUdp } from '../compliance/udp.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest()

await playNode(backend, stage)
await playUdp(backend, stage)
