import type { ClusterSpec } from '../cluster/cluster.ts'
import type { Worker } from '../process/worker.ts'
import { median } from '../stats.ts'
import type { GuestFigure, GuestPlan } from './figures.ts'
import { addNamespace, deleteNamespace } from './namespaces.ts'
import type { FirstSync, IpvsOperations, Table } from './operations.ts'

/** Against the time of `ipvsadm -R`. */
const loadTarget = 0.5

export interface LoadParts {
  readonly plan: GuestPlan
  readonly spec: ClusterSpec
  readonly report: (figure: GuestFigure) => void
  readonly worker: (namespace: string) => Worker<IpvsOperations>
}

interface Loads {
  readonly cold: FirstSync[]
  readonly restart: FirstSync[]
  readonly client: { ms: number; requests: number }[]
  readonly tool: number[]
}

/**
 * Loads of a clean table, one after the other in each round: by weir from its objects, by its client alone, and by
 * `ipvsadm -R`. Processes of ours are new each time. Returns the one that holds the cluster after the last round.
 */
export const compareLoads = async (parts: LoadParts): Promise<Worker<IpvsOperations>> => {
  const { plan, spec, worker } = parts
  const loads: Loads = { cold: [], restart: [], client: [], tool: [] }
  for (let round = 0; ; round++) {
    const namespace = `cold-${round}`
    await addNamespace(namespace)
    const first = worker(namespace)
    loads.cold.push(await first.ask('start', spec))
    await first.end()
    const second = worker(namespace)
    loads.restart.push(await second.ask('start', spec))
    const table = await second.ask('table', undefined)
    const last = round === plan.rounds - 1
    if (!last) {
      await second.end()
      await deleteNamespace(namespace)
    }
    await loadTable(parts, table, loads)
    if (!last) continue
    show(parts, loads)
    return second
  }
}

const clear = { command: ['ipvsadm', '-C'] } as const
const list = { command: ['ipvsadm', '-Sn'] } as const

const loadTable = async ({ worker }: LoadParts, { changes, script }: Table, loads: Loads): Promise<void> => {
  await addNamespace('alone')
  const alone = worker('alone')
  // ipvsadm finds IPVS there, and the program in memory.
  await alone.ask('tools', [list])
  const expect = async (): Promise<void> => {
    const { stdout } = await alone.ask('tools', [list])
    if (sorted(stdout) !== sorted(script)) throw new Error('what was loaded is not what was wanted')
  }
  const { ms, sent } = await alone.ask('load', changes)
  await expect()
  loads.client.push({ ms, requests: sent.requests })
  await alone.ask('tools', [clear])
  loads.tool.push((await alone.ask('tools', [{ command: ['ipvsadm', '-R'], input: script }])).ms)
  await expect()
  await alone.end()
  await deleteNamespace('alone')
}

const sorted = (script: string): string => script.split('\n').sort().join('\n')

const show = ({ plan, report }: LoadParts, { cold, restart, client, tool }: Loads): void => {
  const targets = plan.services === 2_000 ? [{ of: 'p50', atMost: loadTarget } as const] : []
  const [{ virtualServers = 0, realServers = 0 } = {}] = cold
  const size = `${virtualServers.toLocaleString('en')} virtual servers, ${realServers.toLocaleString('en')} real servers`
  report({ name: 'ipvsadm -R, a clean table', unit: 'ms', samples: tool, note: size })
  const datagrams = `${median(client.map(({ requests }) => requests))} datagrams`
  report({ name: "weir's client, the same", unit: 'ms', samples: client.map(({ ms }) => ms), note: datagrams })
  const toClient = client.map(({ ms }, i) => ms / (tool[i] ?? ms))
  report({ name: "weir's client : ipvsadm -R", unit: '×', samples: toClient, targets })
  showSync(report, 'weir, cold: objects in memory → applied, with sets, addresses, rules', cold)
  const toCold = cold.map(({ totalMs }, i) => totalMs / (tool[i] ?? totalMs))
  report({ name: 'weir, cold : ipvsadm -R', unit: '×', samples: toCold, targets })
  showSync(report, 'weir, restart over the unchanged cluster', restart)
  report({
    name: '  written by a restart',
    unit: 'elements',
    samples: restart.map(({ written }) => written),
    targets: [{ of: 'max', atMost: 0 }],
  })
}

const showSync = (report: LoadParts['report'], name: string, syncs: readonly FirstSync[]): void => {
  const add = (line: string, pick: (sync: FirstSync) => number): void =>
    report({ name: line, unit: 'ms', samples: syncs.map(pick) })
  add(name, ({ totalMs }) => totalMs)
  add('  objects taken over by the tracker', ({ trackMs }) => trackMs)
  add('  what is there is listed', (sync) => sync.totalMs - sync.trackMs - sync.desiredMs - sync.planMs - sync.applyMs)
  add('  desired state', ({ desiredMs }) => desiredMs)
  add('  plan', ({ planMs }) => planMs)
  add('  written', ({ applyMs }) => applyMs)
  add('  iptables-save and -restore, both families', ({ iptablesMs }) => iptablesMs)
  const requests = syncs.map(({ sent }) => sent.requests + sent.listings)
  report({ name: '  datagrams to the kernel', unit: 'round trips', samples: requests })
}
