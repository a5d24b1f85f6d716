/** Mode nftables: flows whose endpoint is gone, or that are older than their Service. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { Stage } from '../compliance/stage.ts'
import { playStaleAssociations, playStaleFlows } from '../compliance/stale-flows.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['UDP', 'SCTP'])
t.teardown(() => stage.close())

await playStaleFlows(new NftablesUnderTest(), stage)
await playStaleAssociations(new NftablesUnderTest(), stage)
