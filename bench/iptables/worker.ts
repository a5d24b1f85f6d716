/** The process that holds one synthetic cluster and drives mode iptables in its network namespace. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { run } from '../../src/kernel/exec/run.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { restoreText } from '../../src/kernel/iptables/restore-builder.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { ChangeStream, changeKinds } from '../cluster/changes.ts'
import { type ClusterSpec, member, type SyntheticService } from '../cluster/cluster.ts'
import { serviceManifest, sliceManifest } from '../cluster/manifests.ts'
import { clusterObjects, serviceChange, sliceChange } from '../cluster/objects.ts'
import { peakMiB } from '../process/memory.ts'
import { answer } from '../process/worker.ts'
import { sliceReaders } from '../proxy/slices.ts'
import type { Layout } from './layouts.ts'
import { type IptablesNode, openIptablesNode } from './node.ts'
import type { Applied, FirstSync, IptablesOperations } from './operations.ts'

interface Open extends IptablesNode {
  readonly spec: ClusterSpec
  readonly variant: Variant
  readonly stream: ChangeStream
  /** Services that came after the first sync. */
  readonly more: SyntheticService[]
}

let open: Open | undefined
const opened = (): Open => {
  if (open === undefined) throw new Error('no cluster is open')
  return open
}

const never = new AbortController().signal
const toolLimitMs = 120_000

interface Start {
  readonly spec: ClusterSpec
  readonly layout: Layout
  readonly variant: Variant
  readonly limitMs: number
}

const start = async ({ spec, layout, variant, limitMs }: Start): Promise<FirstSync> => {
  const objects = clusterObjects(spec)
  const { node, iptables } = await openIptablesNode(layout, variant, never)
  const starting = node.start(objects)
  const late = setTimeout(() => node.abort(new Error(`not done after ${Math.round(limitMs / 1000)} s`)), limitMs)
  const { totalMs, trackMs, stages, added, removed } = await starting
    .catch(async (error: unknown) => {
      // Nothing may go on trying behind the next measurement.
      await node.close()
      throw error
    })
    .finally(() => clearTimeout(late))
  const stream = new ChangeStream(spec, sliceReaders(node.proxy.tracker))
  open = { node, iptables, spec, variant, stream, more: [] }
  const { saveMs, restoreMs } = iptables
  const { desiredMs, planMs } = stages
  const written = added + removed
  return { totalMs, trackMs, saveMs, desiredMs, planMs, restoreMs, written, rules: rules(node) }
}

const rules = ({ backends }: IptablesNode['node']): number => {
  const counts = backends.find(({ family }) => family === 'IPv4')?.counts() ?? new Map<string, number>()
  return ['mangle', 'filter', 'nat'].reduce((sum, table) => sum + (counts.get(table) ?? 0), 0)
}

const handOver = async (changes: readonly ModelChange[]): Promise<Applied> => {
  const { node, iptables } = opened()
  await nextTurn()
  iptables.restoreMs = 0
  const { totalMs, stages, added, removed } = await node.timed(() => node.proxy.sink.changes(changes))
  if (added + removed === 0) throw new Error('a change wrote nothing')
  const { restoreMs, restored } = iptables
  return { totalMs, planMs: stages.desiredMs + stages.planMs, restoreMs, input: restoreText(restored) }
}

const nextChange = (kind: (typeof changeKinds)[number]): ModelChange => {
  const manifest = opened().stream.next(kind)
  if (manifest === undefined) throw new Error(`no Service can take a change "${kind}"`)
  return sliceChange(JSON.parse(JSON.stringify(manifest)))
}

const service = (what: 'comes' | 'goes'): Promise<Applied> => {
  const { more, spec } = opened()
  if (what === 'comes') {
    const shape = anotherService(spec, more.length)
    more.push(shape)
    return handOver([serviceChange(serviceManifest(shape)), sliceChange(sliceManifest(shape, shape.members))])
  }
  const gone = more.pop()
  if (gone === undefined) throw new Error('no Service came')
  const changes = [serviceChange(serviceManifest(gone)), sliceChange(sliceManifest(gone, gone.members))]
  return handOver(changes.map((change) => ({ ...change, value: undefined }) as ModelChange))
}

/** With an address from the other end of the range. */
const anotherService = ({ endpoints }: ClusterSpec, number: number): SyntheticService => ({
  namespace: 'team-new',
  name: `new-${number}`,
  clusterIP: `172.31.255.${10 + number}`,
  port: 8443,
  nodePort: undefined,
  members: Array.from({ length: endpoints }, (_, i) => member(number * endpoints + i)),
})

/** Milliseconds, from the program's start to its end. */
const runRestore = async (args: readonly string[], input: string): Promise<number> => {
  const command = [`iptables-${opened().variant}-restore`, ...args]
  const start = performance.now()
  const { status, stderr } = await run(command, { signal: never, input, timeoutMs: toolLimitMs })
  if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.slice(0, 1000) || status}`)
  return performance.now() - start
}

answer<IptablesOperations>({
  start,
  change: (kind) => handOver([nextChange(kind)]),
  service,
  burst: (count) =>
    handOver(Array.from({ length: count }, (_, i) => nextChange(changeKinds[i % changeKinds.length] ?? 'replaced'))),
  damage: ({ args, input }) => opened().node.repaired(async () => void (await runRestore(args, input))),
  stop: async () => {
    await opened().node.close()
    return null
  },
  restore: (input) => runRestore(['-w', '5', '--noflush', '--counters'], input),
  peak: () => peakMiB(),
})
