import { ownNodeIP } from '../cluster/addresses.ts'
import { type ClusterSpec, synthesize } from '../cluster/cluster.ts'
import { Random } from '../cluster/random.ts'
import type { ConnectOperations, Route } from '../connect/operations.ts'
import { createScene, type Scene } from '../connect/scene.ts'
import { kubeProxyTable } from '../kube-proxy/layout.ts'
import { runNft } from '../process/nft.ts'
import { Worker } from '../process/worker.ts'
import type { ProxyOperations } from '../proxy/operations.ts'
import type { LoadedScene } from './kube-proxy.ts'
import { type Bench, workerModule } from './section.ts'

interface Served {
  readonly layout: 'weir' | "kube-proxy's layout"
  readonly scene: Scene
  readonly spec: ClusterSpec
}

const ways = ['ClusterIP', 'NodePort'] as const
type Way = (typeof ways)[number]

const connectModule = new URL('../connect/worker.js', import.meta.url)

/** Time to open a connection through a ClusterIP and through a NodePort, in small and large clusters taken in turn. */
export const connectSection = async (bench: Bench, kubeProxy: LoadedScene | undefined): Promise<void> => {
  const { options, report, begin } = bench
  const served: Served[] = [await serveWeir(options, 1), await serveWeir(options, options.services)]
  if (kubeProxy !== undefined) {
    const layout = "kube-proxy's layout"
    served.push(
      { layout, scene: await loadKubeProxy(options, 1), spec: { ...options, services: 1 } },
      { layout, scene: kubeProxy.scene, spec: { ...options, services: kubeProxy.services } },
    )
  }
  const connector = new Worker<ConnectOperations>(connectModule)
  try {
    await begin('Time to open a connection: client → node → pod, connect(2) to established')
    for (const way of ways) {
      const routes = [...served.map((one) => routeOf(one, way)), sameServiceOf(served, way)]
      const perRound = 250
      await connector.ask('connect', { routes, rounds: 4, perRound })
      const samples = await connector.ask('connect', { routes, rounds: options.quick ? 12 : 48, perRound })
      show(bench, way, served, samples)
      report.add(
        `${way}, weir, ${options.services.toLocaleString('en')} Services, one and the same each time`,
        'µs',
        samples.at(-1) ?? [],
      )
    }
    report.progress('all lines of a kind were measured in turn, 250 connections each time')
  } finally {
    await connector.end()
  }
}

const show = (
  { report }: Bench,
  way: string,
  served: readonly Served[],
  samples: readonly (readonly number[])[],
): void => {
  const medians = served.map(({ layout, spec }, i) => {
    const name = `${way}, ${layout}, ${spec.services.toLocaleString('en')} Service${spec.services === 1 ? '' : 's'}`
    return report.add(name, 'µs', samples[i] ?? []).p50
  })
  for (const [i, { layout, spec }] of served.entries()) {
    const [few, many] = [medians[i - 1], medians[i]]
    if (spec.services === 1 || few === undefined || many === undefined) continue
    report.add(`${way}, ${layout}, ${spec.services.toLocaleString('en')} : 1 Service, medians`, '×', [many / few], {
      targets: layout === 'weir' ? [{ of: 'p50', atMost: 1.1 }] : [],
    })
  }
}

const serveWeir = async (options: Bench['options'], services: number): Promise<Served> => {
  const scene = await createScene(`weir-${services}`)
  const spec = { ...options, services }
  const worker = new Worker<ProxyOperations>(workerModule, scene.node)
  await worker.ask('start', { spec, keepBatches: false })
  // Rules stay when the process ends.
  await worker.end()
  return { layout: 'weir', scene, spec }
}

const loadKubeProxy = async (options: Bench['options'], services: number): Promise<Scene> => {
  const scene = await createScene(`kp-${services}`)
  await runNft(scene.node, ['-f', '-'], kubeProxyTable(synthesize({ ...options, services })))
  return scene
}

/** One Service of the large cluster: what is left of the difference when the processor's caches know it. */
const sameServiceOf = (served: readonly Served[], way: Way): Route => {
  const large = served[1]
  if (large === undefined) throw new Error('no large cluster is served')
  const route = routeOf(large, way)
  return { ...route, destinations: route.destinations.slice(0, 1) }
}

/** Up to a thousand Services of the cluster in random order. */
const routeOf = ({ scene, spec }: Served, way: Way): Route => {
  const all: { readonly ip: string; readonly port: number }[] = []
  for (const { clusterIP, port, nodePort } of synthesize(spec)) {
    if (way === 'ClusterIP') all.push({ ip: clusterIP, port })
    else if (nodePort !== undefined) all.push({ ip: ownNodeIP, port: nodePort })
  }
  const random = new Random(spec.seed)
  return { scene, destinations: Array.from({ length: Math.min(1000, all.length) }, () => random.pick(all)) }
}
