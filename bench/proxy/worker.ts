/** The process that holds one synthetic cluster and drives weir's parts in its network namespace. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { tableName } from '../../src/backends/nftables/schema.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { ChangeStream, changeKinds, membersOf } from '../cluster/changes.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'
import { clusterObjects, sliceChange } from '../cluster/objects.ts'
import { kernelMiB, peakMiB } from '../process/memory.ts'
import { answer } from '../process/worker.ts'
import { type NftablesNode, openNftablesNode } from './nftables-node.ts'
import type { SyncTimes } from './node.ts'
import type { ColdStart, ProxyOperations, Sample } from './operations.ts'
import { sliceReaders } from './slices.ts'

interface Open extends NftablesNode {
  readonly stream: ChangeStream
  readonly slices: readonly (() => EndpointSlice)[]
}

let open: Open | undefined
const opened = (): Open => {
  if (open === undefined) throw new Error('no cluster is open')
  return open
}

const never = new AbortController().signal

const start = async ({ spec, keepBatches }: { spec: ClusterSpec; keepBatches: boolean }): Promise<ColdStart> => {
  const objects = clusterObjects(spec)
  const { node, client } = await openNftablesNode({ keepBatches })
  await sleep(50)
  const kernelBefore = kernelMiB()
  const { totalMs, stages, trackMs, added, removed } = await node.start(objects)
  const { scriptMs, commitMs } = client
  await sleep(200)
  const kernelAfter = kernelMiB()
  const slices = sliceReaders(node.proxy.tracker)
  open = { node, client, slices, stream: new ChangeStream(spec, slices) }
  return {
    totalMs,
    trackMs,
    desiredMs: stages.desiredMs,
    planMs: stages.planMs,
    scriptMs,
    commitMs,
    elements: { added, removed },
    kernelMiB: kernelAfter - kernelBefore,
    peakMiB: peakMiB(),
  }
}

/** The same bytes as in the cold start, committed again to tables made anew: what the kernel alone takes. */
const recommit = async ({ times }: { times: number }): Promise<readonly number[]> => {
  const {
    node,
    client: { scripts, batches },
  } = opened()
  // With it goes the monitor: for a listener the kernel would write down every element once more.
  await node.close()
  const client = openNftClient()
  const samples: number[] = []
  for (let i = 0; i < times; i++) {
    await client.deleteTable('ip', tableName, never)
    await client.deleteTable('ip6', tableName, never)
    // The kernel frees the elements of a deleted table in the background.
    await sleep(500)
    for (const script of scripts) await client.runText(script, never)
    const start = performance.now()
    for (const batch of batches) await client.commit(batch, never)
    samples.push(performance.now() - start)
  }
  client.close()
  return samples
}

/** Changes of single endpoints, each kind as often as the others; every other one is handed in as JSON. */
const change = async ({ count }: { count: number }): Promise<readonly Sample[]> => {
  const { node, stream } = opened()
  const samples: Sample[] = []
  for (let i = 0; i < count; i++) {
    const kind = changeKinds[i % changeKinds.length] ?? 'replaced'
    const manifest = stream.next(kind)
    if (manifest === undefined) throw new Error(`no Service can take a change "${kind}"`)
    const text = JSON.stringify(manifest)
    const parsed = sliceChange(JSON.parse(text))
    const from = Math.floor(i / changeKinds.length) % 2 === 0 ? 'model' : 'json'
    await nextTurn()
    const { sink } = node.proxy
    const times = await node.timed(() => sink.changes([from === 'model' ? parsed : sliceChange(JSON.parse(text))]))
    expectWritten(times, kind)
    samples.push({ kind, from, ms: times.totalMs })
  }
  return samples
}

const expectWritten = ({ added, removed }: SyncTimes, what: string): void => {
  if (added + removed === 0) throw new Error(`a change "${what}" wrote nothing`)
}

/** Many changes at once: in one turn of the event loop, or each in a turn of its own. */
const burst = async ({ count, turns }: { count: number; turns: 'one' | 'each' }): Promise<number> => {
  const { node, stream } = opened()
  const { sink } = node.proxy
  const kinds = Array.from({ length: count }, (_, i) => changeKinds[i % changeKinds.length] ?? 'replaced')
  const changes = kinds.map((kind) => {
    const manifest = stream.next(kind)
    if (manifest === undefined) throw new Error(`no Service can take a change "${kind}"`)
    return sliceChange(JSON.parse(JSON.stringify(manifest)))
  })
  await nextTurn()
  const times = await node.timed(
    turns === 'one'
      ? () => {
          for (const one of changes) sink.changes([one])
        }
      : async () => {
          for (const one of changes) {
            sink.changes([one])
            await nextTurn()
          }
        },
  )
  expectWritten(times, 'burst')
  return times.totalMs
}

/** A Service goes from its endpoints to none and back: its entry in a verdict map goes and comes. */
const toggle = async ({ count }: { count: number }): Promise<{ lastGone: number[]; firstBack: number[] }> => {
  const { node, stream, slices } = opened()
  const { sink } = node.proxy
  const [lastGone, firstBack]: [number[], number[]] = [[], []]
  for (let i = 0; i < count; i++) {
    const slice = slices[(i * 7919) % slices.length]?.()
    if (slice === undefined) throw new Error('the cluster is empty')
    const members = membersOf(slice)
    for (const [list, into] of [
      [[], lastGone],
      [members, firstBack],
    ] as const) {
      const changed = sliceChange(JSON.parse(JSON.stringify(stream.manifest(slice, list))))
      await nextTurn()
      const times = await node.timed(() => sink.changes([changed]))
      expectWritten(times, 'toggle')
      into.push(times.totalMs)
    }
  }
  return { lastGone, firstBack }
}

answer<ProxyOperations>({
  start,
  recommit,
  change,
  burst,
  toggle,
  peak: () => peakMiB(),
})
