import { changeKinds } from '../cluster/changes.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'
import { inOwnNetns as inNetns } from '../process/own-netns.ts'
import type { Worker } from '../process/worker.ts'
import type { ColdStart, ProxyOperations, Sample } from '../proxy/operations.ts'
import { median } from '../stats.ts'
import { type Bench, size, workerModule } from './section.ts'

type ProxyWorker = Worker<ProxyOperations>

/** The small cluster that every cost is compared with. */
const smallServices = 100
const coldTargetMs = 1000

export const syncSection = async (bench: Bench): Promise<void> => {
  await coldStarts(bench)
  await changes(bench)
}

const inOwnNetns = <T>(name: string, use: (start: () => ProxyWorker) => Promise<T>): Promise<T> =>
  inNetns<ProxyOperations, T>(workerModule, name, use)

const coldStarts = async ({ options, report, begin }: Bench): Promise<void> => {
  const { quick, services, endpoints } = options
  const spec: ClusterSpec = options
  const repetitions = quick ? 3 : 5
  await begin(`Cold and warm start, ${size(services, endpoints)} endpoints, a process and a table of its own each time`)
  const cold: ColdStart[] = []
  const warm: ColdStart[] = []
  let kernelAlone: readonly number[] = []
  let firstTouch = 0
  for (let i = 0; i <= repetitions; i++) {
    await inOwnNetns(`cold-${i}`, async (start) => {
      const worker = start()
      const found = await worker.ask('start', { spec, keepBatches: i === repetitions })
      // The first run makes the machine touch memory that it may never have used: that is not what weir costs.
      if (i === 0) firstTouch = found.totalMs
      else cold.push(found)
      if (i === repetitions) kernelAlone = await worker.ask('recommit', { times: repetitions })
      await worker.end()
      if (i > 0 && i < repetitions) {
        const again = start()
        warm.push(await again.ask('start', { spec, keepBatches: false }))
        await again.end()
      }
    })
  }
  const of = (pick: (run: ColdStart) => number, runs = cold): readonly number[] => runs.map(pick)
  report.add(
    'cold: objects in memory → everything committed',
    'ms',
    of(({ totalMs }) => totalMs),
    {
      targets: services === 20_000 ? [{ of: 'p50', atMost: coldTargetMs }] : [],
    },
  )
  report.add(
    '  objects taken over by the tracker',
    'ms',
    of(({ trackMs }) => trackMs),
  )
  report.add(
    '  desired state',
    'ms',
    of(({ desiredMs }) => desiredMs),
  )
  report.add(
    '  plan: laid out and encoded',
    'ms',
    of(({ planMs }) => planMs),
  )
  report.add(
    '  fixed structure through nft -f, both families',
    'ms',
    of(({ scriptMs }) => scriptMs),
  )
  report.add(
    '  commit over netlink',
    'ms',
    of(({ commitMs }) => commitMs),
  )
  report.add('the kernel alone: the same bytes committed again', 'ms', kernelAlone)
  report.add('the first run of all, left out above', 'ms', [firstTouch])
  report.add('elements written', 'elements', [median(of(({ elements }) => elements.added))])
  report.add(
    'kernel memory for the tables, about',
    'MiB',
    of(({ kernelMiB }) => kernelMiB),
  )
  report.add(
    'warm: restart over an unchanged cluster',
    'ms',
    of(({ totalMs }) => totalMs, warm),
  )
  const rewritten = of(({ elements }) => elements.added + elements.removed, warm)
  report.add('  elements written by a warm start', 'elements', [Math.max(...rewritten)], {
    targets: [{ of: 'max', atMost: 0 }],
  })
}

const changes = async (bench: Bench): Promise<void> => {
  const { options, begin } = bench
  const { services, endpoints } = options
  await begin(
    `Changes, ${size(services, endpoints)} beside ${size(smallServices, endpoints)}: handed in → commit acknowledged`,
  )
  await inOwnNetns('large', (startLarge) =>
    inOwnNetns('small', async (startSmall) => {
      const [large, small] = [startLarge(), startSmall()]
      await large.ask('start', { spec: options, keepBatches: false })
      await small.ask('start', { spec: { ...options, services: smallServices }, keepBatches: false })
      const targets = services === 20_000 ? [{ of: 'p50', atMost: 350 } as const] : []
      const peak = async (): Promise<readonly number[]> => [await large.ask('peak', undefined)]
      await oneEndpoint(bench, large, small)
      bench.report.add('peak RSS of the process so far', 'MiB', await peak(), { targets })
      await bursts(bench, large)
      await emptied(bench, large, small)
      bench.report.add('peak RSS of the process after all that', 'MiB', await peak())
    }),
  )
}

const oneEndpoint = async ({ options, report }: Bench, large: ProxyWorker, small: ProxyWorker): Promise<void> => {
  const { quick, services } = options
  const rounds = quick ? 4 : 10
  const count = quick ? 400 : 800
  const samples = { large: [] as Sample[], small: [] as Sample[] }
  for (let round = -2; round < rounds; round++) {
    const [fromLarge, fromSmall] = [await large.ask('change', { count }), await small.ask('change', { count })]
    // The first rounds run unoptimised code; a process that serves a cluster has left that behind in its first minute.
    if (round < 0) continue
    samples.large.push(...fromLarge)
    samples.small.push(...fromSmall)
  }
  const pick = (list: readonly Sample[], match: (sample: Sample) => boolean): readonly number[] =>
    list.filter(match).map(({ ms }) => ms)
  const isParsed = ({ from }: Sample): boolean => from === 'model'
  const isText = ({ from }: Sample): boolean => from === 'json'
  const [many, few] = [services, smallServices].map((n) => n.toLocaleString('en'))
  const targets = [
    { of: 'p50', atMost: 0.3 },
    { of: 'p99', atMost: 2 },
  ] as const
  const inLarge = report.add(`one endpoint changes, ${many} Services`, 'ms', pick(samples.large, isParsed), { targets })
  for (const kind of changeKinds)
    report.add(
      `  ${kind}`,
      'ms',
      pick(samples.large, (sample) => isParsed(sample) && sample.kind === kind),
    )
  report.add('  all, with JSON.parse and parseEndpointSlice', 'ms', pick(samples.large, isText))
  const inSmall = report.add(`one endpoint changes, ${few} Services`, 'ms', pick(samples.small, isParsed), { targets })
  report.add('  all, with JSON.parse and parseEndpointSlice', 'ms', pick(samples.small, isText))
  report.add(`one endpoint changes, ${many} : ${few} Services, medians`, '×', [inLarge.p50 / inSmall.p50], {
    targets: [{ of: 'p50', atMost: 1.5 }],
  })
}

const bursts = async ({ options, report }: Bench, large: ProxyWorker): Promise<void> => {
  const repetitions = options.quick ? 5 : 20
  const count = 1000
  const together: number[] = []
  const apart: number[] = []
  for (let i = 0; i < repetitions; i++) {
    together.push(await large.ask('burst', { count, turns: 'one' }))
    apart.push(await large.ask('burst', { count, turns: 'each' }))
  }
  report.add('1,000 changes in a burst, all committed', 'ms', together, { targets: [{ of: 'p50', atMost: 100 }] })
  report.add('  each change in a turn of the event loop of its own', 'ms', apart)
}

/** Not one endpoint of many but the last or the first of a Service: a verdict goes or comes, which the kernel checks. */
const emptied = async ({ options, report }: Bench, large: ProxyWorker, small: ProxyWorker): Promise<void> => {
  const count = options.quick ? 25 : 100
  for (const [worker, services] of [
    [large, options.services],
    [small, smallServices],
  ] as const) {
    const { lastGone, firstBack } = await worker.ask('toggle', { count })
    const name = services.toLocaleString('en')
    report.add(`a Service loses all its endpoints, ${name} Services`, 'ms', lastGone)
    report.add(`a Service gets its first endpoints, ${name} Services`, 'ms', firstBack)
  }
}
