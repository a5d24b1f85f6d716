/** Who is reached, where, and whom the endpoint sees: the tables of test/flows on the kernel, TCP and UDP. */
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playTable } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { masquerade } from '../flows/masquerade.ts'
import { nodePortAddresses } from '../flows/node-port-addresses.ts'
import { reach } from '../flows/reach.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const protocols = ['TCP', 'UDP'] as const
const stage = await Stage.create(protocols)
t.teardown(() => stage.close())
const run = { backend: new NftablesUnderTest(), stage, protocols }

await playTable('reach', reach, run)
await playTable('NodePort addresses', nodePortAddresses, run)
await playTable('masquerade', masquerade, run)
