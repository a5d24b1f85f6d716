import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { type ClusterSpec, synthesize } from '../cluster/cluster.ts'
import type { ConnectOperations, Route } from '../connect/operations.ts'
import { createScene, deleteScene, type Scene } from '../connect/scene.ts'
import { Worker } from '../process/worker.ts'
import type { Bench } from '../sections/section.ts'
import { startWorker } from './fleet.ts'
import { type LayoutName, layouts } from './layouts.ts'

const defaultLayouts: readonly LayoutName[] = ['plain', 'plain+tree']
const manyServices = 10_000
/** The last of so many against the only one, where the dispatch is a tree. */
const lastTarget = 1.2

const connectModule = new URL('../connect/worker.js', import.meta.url)

interface Served {
  readonly name: LayoutName
  readonly services: number
  readonly scene: Scene
  readonly route: Route
}

/** Time to open a connection to the Service whose rule comes last, in weir's own layouts; the first is kube-proxy's. */
export const connections = async ({ options, report, begin }: Bench, variant: Variant): Promise<void> => {
  const names = options.iptables.layouts ?? defaultLayouts
  const many = options.quick ? manyServices / 10 : manyServices
  const count = many.toLocaleString('en')
  await begin(`iptables, ${variant} variant: client → node → pod, connect(2) to established; one endpoint each`)
  const served: Served[] = []
  for (const name of names)
    for (const services of [1, many]) served.push(await serve(variant, name, { seed: options.seed, services }))
  const connector = new Worker<ConnectOperations>(connectModule)
  try {
    const routes = served.map(({ route }) => route)
    const perRound = 50
    await connector.ask('connect', { routes, rounds: 2, perRound })
    const samples = await connector.ask('connect', { routes, rounds: options.quick ? 8 : 24, perRound })
    for (const name of names) {
      const title = name === 'plain' ? "plain, kube-proxy's layout" : name
      const [only, last] = served.flatMap((one, i) => (one.name === name ? [samples[i] ?? []] : []))
      if (only === undefined || last === undefined) continue
      const few = report.add(`${title}, the only Service`, 'µs', only)
      const all = report.add(`${title}, the last of ${count}`, 'µs', last)
      const isGoal = layouts[name].dispatch === 'tree' && many === manyServices
      report.add(`${variant}, ${name}, the last of ${count} : the only one`, '×', [all.p50 / few.p50], {
        targets: isGoal ? [{ of: 'p50', atMost: lastTarget }] : [],
      })
    }
    report.progress('all of these were measured in turn')
  } finally {
    await connector.end()
  }
  for (const { scene } of served) await deleteScene(scene)
}

const serve = async (
  variant: Variant,
  name: LayoutName,
  { seed, services }: Pick<ClusterSpec, 'seed' | 'services'>,
): Promise<Served> => {
  const spec: ClusterSpec = { seed, services, endpoints: 1, scattered: true }
  const scene = await createScene(`${name}-${services}`)
  const worker = startWorker(scene.node)
  await worker.ask('start', { spec, layout: layouts[name], variant, limitMs: 300_000 })
  // Rules stay when the process ends.
  await worker.end()
  // They are in ascending order, so that the last one is last in a chain and at each branch of a tree.
  const last = [...synthesize(spec)].at(-1)
  if (last === undefined) throw new Error('no Service')
  return { name, services, scene, route: { scene, destinations: [{ ip: last.clusterIP, port: last.port }] } }
}
