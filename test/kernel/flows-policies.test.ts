/** What traffic policies and source ranges do, and what becomes of what nobody serves: the tables of test/flows on the kernel, TCP and UDP. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playTable } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { policies } from '../flows/policies.ts'
import { sourceRanges } from '../flows/source-ranges.ts'
import { unwanted } from '../flows/unwanted.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const protocols = ['TCP', 'UDP'] as const
const stage = await Stage.create(protocols)
t.teardown(() => stage.close())
const run = { backend: new NftablesUnderTest(), stage, protocols }

await playTable('policies', policies, run)
await playTable('source ranges', sourceRanges, run)
await playTable('unwanted', unwanted, run)
