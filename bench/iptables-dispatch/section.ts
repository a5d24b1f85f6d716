import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { podPlace } from '../cluster/addresses.ts'
import { targetPort } from '../cluster/manifests.ts'
import { Random } from '../cluster/random.ts'
import type { ConnectOperations, Route } from '../connect/operations.ts'
import { createScene, deleteScene, type Scene } from '../connect/scene.ts'
import { Worker } from '../process/worker.ts'
import type { Report } from '../report.ts'
import type { Bench } from '../sections/section.ts'
import type { Summary } from '../stats.ts'
import { restore } from './restore.ts'
import { type Dispatch, rulesetOf, scatteredServices } from './ruleset.ts'

const connectModule = new URL('../connect/worker.js', import.meta.url)

/** The last of N Services against the only one: what the project set out to reach. */
const lastTarget = 1.2
const manyServices = 10_000

/** What is connected to: the Service whose rule comes last, any Service, a pod without one. */
const destinations = ['last', 'any', 'none'] as const
type DestinationKind = (typeof destinations)[number]

interface Loaded {
  readonly dispatch: Dispatch
  readonly size: number
  readonly scene: Scene
  readonly routes: Readonly<Record<DestinationKind, Route>>
}

/**
 * What finding a Service costs the first packet of a connection in kube-proxy's linear KUBE-SERVICES and in trees of any
 * leaf size, for each variant of iptables: by this the size of a leaf was chosen.
 */
export const iptablesDispatchSection = async (bench: Bench): Promise<void> => {
  for (const variant of variants) await measureVariant(variant, bench)
}

const measureVariant = async (variant: Variant, bench: Bench): Promise<void> => {
  const { report, begin, options } = bench
  const { quick } = options
  const { sizes, leafSizes } = options.dispatch
  await begin(`iptables, ${variant} variant: one iptables-restore, one endpoint each`)
  const dispatches: readonly Dispatch[] = [
    { kind: 'flat' },
    ...leafSizes.map((leafSize) => ({ kind: 'tree', leafSize }) as const),
  ]
  const loaded: Loaded[] = []
  // One Service is the same ruleset either way, so it is loaded once.
  loaded.push(await load(variant, { kind: 'flat' }, 1, bench))
  for (const size of sizes.filter((count) => count > 1))
    for (const dispatch of dispatches) loaded.push(await load(variant, dispatch, size, bench))

  const connector = new Worker<ConnectOperations>(connectModule)
  try {
    await begin(`iptables, ${variant} variant: time to open a connection, connect(2) to established`)
    for (const kind of destinations) {
      const routes = loaded.map((one) => one.routes[kind])
      const perRound = quick ? 50 : 100
      await connector.ask('connect', { routes, rounds: 4, perRound })
      const samples = await connector.ask('connect', { routes, rounds: quick ? 12 : 48, perRound })
      show(report, variant, kind, loaded, samples)
    }
    report.progress('all lines of a kind were measured in turn; none: the address of a pod')
  } finally {
    await connector.end()
  }
  for (const { scene } of loaded) await deleteScene(scene)
}

const load = async (variant: Variant, dispatch: Dispatch, size: number, bench: Bench): Promise<Loaded> => {
  const { report, options } = bench
  const { seed, quick } = options
  const scene = await createScene(`${variant}-${nameOf(dispatch).replaceAll(' ', '-')}-${size}`)
  const changes = quick ? 5 : 15
  const { services, more } = scatteredServices(seed, size, changes)
  const { text, extra, change } = rulesetOf(services, dispatch)
  const ms = await restore(scene.node, variant, text)
  if (size === Math.max(...options.dispatch.sizes)) {
    const name = `${nameOf(dispatch)}, ${countOf(size)}`
    const note = { note: `${extra.chains} chains and ${extra.rules} rules more than flat` }
    report.add(`${name}: all`, 'ms', [ms], dispatch.kind === 'flat' ? {} : note)
    const come: number[] = []
    const go: number[] = []
    for (const service of more) {
      const { add, remove } = change(service)
      come.push(await restore(scene.node, variant, add))
      go.push(await restore(scene.node, variant, remove))
    }
    report.add(`${name}: one more`, 'ms', come)
    report.add(`${name}: one less`, 'ms', go)
  }
  const random = new Random(seed)
  const any = Array.from({ length: Math.min(1000, size) }, () => random.pick(services))
  return {
    dispatch,
    size,
    scene,
    routes: {
      last: { scene, destinations: services.slice(-1) },
      any: { scene, destinations: any },
      none: { scene, destinations: [{ ip: podPlace(0).ip, port: targetPort }] },
    },
  }
}

const nameOf = (dispatch: Dispatch): string => (dispatch.kind === 'flat' ? 'flat' : `tree ${dispatch.leafSize}`)
const countOf = (size: number): string => `${size.toLocaleString('en')} Service${size === 1 ? '' : 's'}`

const titles = {
  last: 'the last of',
  any: 'any of',
  none: 'none of',
} as const satisfies Record<DestinationKind, string>

const show = (
  report: Report,
  variant: Variant,
  kind: DestinationKind,
  loaded: readonly Loaded[],
  samples: readonly (readonly number[])[],
): void => {
  const lineOf = ({ dispatch, size }: Loaded): string =>
    `${variant}, ${size === 1 ? 'either' : nameOf(dispatch)}, ${titles[kind]} ${countOf(size)}`
  const summaries = loaded.map((one, i): readonly [Loaded, Summary] => [
    one,
    report.add(lineOf(one), 'µs', samples[i] ?? []),
  ])
  const only = summaries.find(([{ size }]) => size === 1)?.[1].p50
  if (only === undefined) throw new Error('no single Service was measured')
  for (const [one, { p50 }] of summaries) {
    if (one.size === 1) continue
    const isGoal = kind === 'last' && one.dispatch.kind === 'tree' && one.size === manyServices
    report.add(`${lineOf(one)} : 1, medians`, '×', [p50 / only], {
      targets: isGoal ? [{ of: 'p50', atMost: lastTarget }] : [],
    })
  }
}
