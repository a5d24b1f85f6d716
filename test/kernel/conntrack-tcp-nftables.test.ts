/** Mode nftables: TCP connections to an endpoint that vanished. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { Stage } from '../compliance/stage.ts'
import { playStaleConnections } from '../compliance/stale-connections.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())

await playStaleConnections(new NftablesUnderTest(), stage)
