/**
 * The tables over SCTP. Where the kernel has no SCTP sockets, clients and servers speak the first two packets of an
 * association over raw sockets: enough for conntrack, NAT and reject, which is all that a proxy does to it.
 */
import { existsSync } from 'node:fs'
import t from 'tap'
import { NftablesUnderTest } from '../compliance/nftables.ts'
import { playTable } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { masquerade } from '../flows/masquerade.ts'
import { policies } from '../flows/policies.ts'
import { reach } from '../flows/reach.ts'
import { sourceRanges } from '../flows/source-ranges.ts'
import { unwanted } from '../flows/unwanted.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const sockets = existsSync('/proc/sys/net/sctp')
t.comment(
  `!!! SCTP: this kernel ${sockets ? 'has' : 'HAS NO'} sockets of its own; INIT and INIT ACK are sent raw, so what is proved is ` +
    'where packets of SCTP go and how conntrack translates them, not that whole associations live',
)

const protocols = ['SCTP'] as const
const stage = await Stage.create(protocols)
t.teardown(() => stage.close())
const backend = new NftablesUnderTest()
const run = { backend, stage, protocols }

t.ok(backend.traits.sctp, 'the backend declares SCTP')
await playTable('reach', reach, run)
await playTable('masquerade', masquerade, run)
await playTable('policies', policies, run)
await playTable('source ranges', sourceRanges, run)
await playTable('unwanted', unwanted, run)
