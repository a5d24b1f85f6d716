/** Session affinity with real clients, by address, over time and through changes. */
import t from 'tap'
import { playAffinity, playAffinityChanges } from '../compliance/affinity.ts'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { Stage } from '../compliance/stage.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
t.teardown(() => stage.close())
const backend = new NftablesUnderTest()

t.ok(backend.traits.affinity, 'the backend declares affinity')
await playAffinity(backend, stage)
await playAffinityChanges(backend, stage)
