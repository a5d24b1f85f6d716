/** What depends on the node itself: its addresses as they come and go, other people's marks, source ports, pings. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playNode } from '../compliance/node.ts'
import { Stage } from '../compliance/stage.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())

await playNode(new NftablesUnderTest(), stage)
