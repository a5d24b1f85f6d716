/** The process that drives mode ipvs, or IPVS alone, in a network namespace of the guest. */
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../src/kernel/exec/run.ts'
import { NetlinkIpvs, openGeneric } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { ChangeStream } from '../cluster/changes.ts'
import { type ClusterSpec, synthesize } from '../cluster/cluster.ts'
import { clusterObjects, serviceChange, sliceChange } from '../cluster/objects.ts'
import { peakMiB, residentMiB } from '../process/memory.ts'
import { answer } from '../process/worker.ts'
import { sliceReaders } from '../proxy/slices.ts'
import { type IpvsNode, openIpvsNode } from './node.ts'
import type { Applied, FirstSync, IpvsChangeKind, IpvsOperations, ToolRun } from './operations.ts'
import { tableOf } from './table.ts'
import { Traffic } from './traffic.ts'
import { WeightChanges } from './weights.ts'

interface Open extends IpvsNode {
  readonly stream: ChangeStream
  readonly weights: WeightChanges
}

let open: Open | undefined
const opened = (): Open => {
  if (open === undefined) throw new Error('no cluster is open')
  return open
}

const never = new AbortController().signal
const toolLimitMs = 300_000
const drainLimitMs = 20_000

const start = async (spec: ClusterSpec): Promise<FirstSync> => {
  const objects = clusterObjects(spec)
  const parts = await openIpvsNode(never)
  const { node, traffic, iptables } = parts
  const before = traffic.sent
  const { totalMs, trackMs, stages, added, removed } = await node.start(objects)
  const sent = traffic.since(before)
  const slices = sliceReaders(node.proxy.tracker)
  open = { ...parts, stream: new ChangeStream(spec, slices), weights: new WeightChanges([...synthesize(spec)], slices) }
  const iptablesMs = iptables.reduce((sum, { saveMs, restoreMs }) => sum + saveMs + restoreMs, 0)
  const [virtualServers, realServers] = [count('virtual-servers'), count('real-servers')]
  return { totalMs, trackMs, ...stages, iptablesMs, written: added + removed, virtualServers, realServers, sent }
}

/** Of both families. */
const count = (name: string): number =>
  opened().backends.reduce((sum, backend) => sum + (backend.counts().get(name) ?? 0), 0)

const change = async (kind: IpvsChangeKind): Promise<Applied> => {
  const { node, traffic, appliedRequests, iptables, stream, weights } = opened()
  const next = kind === 'weight' ? serviceChange(weights.next()) : sliceChange(sliceOf(stream, kind))
  // Whatever the last one left to the event loop is no burden to this one.
  await sleep(2)
  for (const one of iptables) one.restoreMs = 0
  const [before, appliedBefore] = [traffic.sent, appliedRequests()]
  const { totalMs, stages, added, removed } = await node.timed(() => node.proxy.sink.changes([next]))
  if (added + removed === 0) throw new Error(`a change "${kind}" wrote nothing`)
  if (iptables.some(({ restoreMs }) => restoreMs > 0)) throw new Error(`a change "${kind}" ran iptables-restore`)
  const requests = appliedRequests() - appliedBefore
  await drained()
  const sent = traffic.since(before)
  const later = sent.requests + sent.listings - requests
  return { totalMs, planMs: stages.planMs, applyMs: stages.applyMs, requests, later }
}

/** Through JSON text, as a watch delivers it. */
const sliceOf = (stream: ChangeStream, kind: Exclude<IpvsChangeKind, 'weight'>): unknown => {
  const manifest = stream.next(kind)
  if (manifest === undefined) throw new Error(`no Service can take a change "${kind}"`)
  return JSON.parse(JSON.stringify(manifest))
}

const drained = async (): Promise<void> => {
  const end = performance.now() + drainLimitMs
  while (count('draining-real-servers') > 0) {
    if (performance.now() > end) throw new Error('real servers without connections go on draining')
    await sleep(1)
  }
}

const load = async (changes: IpvsOperations['load']['request']): Promise<IpvsOperations['load']['reply']> => {
  const traffic = new Traffic()
  const ipvs = new NetlinkIpvs({ open: traffic.counting(openGeneric) })
  // The family's number is asked for once, and the module loaded if need be.
  await ipvs.timeouts(never)
  const before = traffic.sent
  const begin = performance.now()
  const refusals = await ipvs.apply(changes, never)
  const ms = performance.now() - begin
  const sent = traffic.since(before)
  ipvs.close()
  const [refusal] = refusals
  if (refusal !== undefined) throw refusal.error
  return { ms, sent }
}

const look = async (): Promise<number> => {
  const { ipvs, backends } = opened()
  const [server] = backends.length === 0 ? [] : await ipvs.virtualServers(never)
  if (server === undefined) throw new Error('no virtual server')
  const begin = performance.now()
  await ipvs.realServers(server.id, never)
  return performance.now() - begin
}

const tools = async (runs: readonly ToolRun[]): Promise<IpvsOperations['tools']['reply']> => {
  const begin = performance.now()
  let output = ''
  for (const { command, input } of runs) {
    const options = input === undefined ? {} : { input }
    const { status, stdout, stderr } = await run(command, { signal: never, timeoutMs: toolLimitMs, ...options })
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr.slice(0, 1000) || status}`)
    output += stdout
  }
  return { ms: performance.now() - begin, stdout: output }
}

answer<IpvsOperations>({
  start,
  change,
  table: async () => {
    const { stdout: script } = await tools([{ command: ['ipvsadm', '-Sn'] }])
    return { changes: await tableOf(opened().ipvs, never), script }
  },
  look,
  load,
  tools,
  memory: () => ({ nowMiB: residentMiB(), peakMiB: peakMiB() }),
})
