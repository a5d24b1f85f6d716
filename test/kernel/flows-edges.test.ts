/** Where rules meet: TCP and UDP on the kernel. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playTable } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { edges } from '../flows/edges.ts'
import { endpoints, topology } from '../flows/endpoints.ts'
import { ownership } from '../flows/unwanted.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const protocols = ['TCP', 'UDP'] as const
const stage = await Stage.create(protocols)
t.teardown(() => stage.close())
const run = { backend: new NftablesUnderTest(), stage, protocols }

await playTable('edges', edges, run)
await playTable('endpoints', endpoints, run)
await playTable('topology', topology, run)
await playTable('ownership', ownership, run)
