import { setTimeout as sleep } from 'node:timers/promises'
import { figure } from '../report.ts'
import { median } from '../stats.ts'
import { bulk, connections, latency } from './load.ts'
import { ports } from './ports.ts'
import type { Process } from './processes.ts'
import { holder, openScene, type Scene } from './scene.ts'

export interface ForwardBench {
  readonly threads: number
  /** Of each measurement. */
  readonly seconds: number
  readonly rounds: number
  readonly idle: number
  /** Connections opened and closed. 0: none. */
  readonly soak: number
  readonly print: (text: string) => void
}

/** One figure: what both proxies reached, round by round, and what is asked of the ratio. */
export interface Figure {
  readonly name: string
  readonly unit: string
  readonly weir: readonly number[]
  readonly haproxy: readonly number[]
  /** Median of the rounds' ratios, weir to HAProxy. */
  readonly ratio: number
  readonly target: string | undefined
  readonly met: boolean | undefined
}

type Proxy = 'weir' | 'haproxy'
type Samples = Record<Proxy, number[]>
const empty = (): Samples => ({ weir: [], haproxy: [] })

/** Measures everything; each round asks one proxy right after the other, and turns their order. */
export const measureForwarding = async (bench: ForwardBench): Promise<readonly Figure[]> => {
  const scene = await openScene(bench.threads)
  try {
    bench.print(`proxies on processors ${scene.proxyCpus}, clients and endpoints on ${scene.loadCpus}\n`)
    const figures = [
      ...(await newConnections(bench, scene)),
      ...(await streams(bench, scene)),
      ...(await requests(bench, scene)),
      ...(await idleConnections(bench, scene)),
    ]
    if (bench.soak > 0) figures.push(...(await soak(bench, scene)))
    return figures
  } finally {
    await scene.close()
  }
}

const alternate = async (rounds: number, measure: (proxy: Proxy) => Promise<void>): Promise<void> => {
  for (let round = 0; round < rounds; round++) {
    const order = ['weir', 'haproxy'] as const
    for (const proxy of round % 2 === 0 ? order : order.toReversed()) await measure(proxy)
  }
}

const compare = (
  { print }: ForwardBench,
  name: string,
  unit: string,
  { weir, haproxy }: Samples,
  bound?: { readonly atLeast?: number; readonly atMost?: number },
): Figure => {
  const ratio = median(weir.map((value, i) => value / (haproxy[i] ?? Number.NaN)))
  const { atLeast, atMost } = bound ?? {}
  const target = atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : undefined
  const met = target === undefined ? undefined : ratio >= (atLeast ?? -Infinity) && ratio <= (atMost ?? Infinity)
  const verdict = target === undefined ? '' : `  target ${target} ×: ${met ? 'met' : 'missed'}`
  const cells = [median(weir), median(haproxy)].map((value) => figure(value).padStart(9)).join('')
  print(`  ${`${name}, ${unit}`.padEnd(58)}${cells}${figure(ratio).padStart(8)} ×${verdict}\n`)
  return { name, unit, weir, haproxy, ratio, target, met }
}

const newConnections = async (bench: ForwardBench, scene: Scene): Promise<readonly Figure[]> => {
  bench.print(`\nNew connections, one request each${head}`)
  const [rates, costs] = [empty(), empty()]
  for (const proxy of ['weir', 'haproxy'] as const) await connections(scene.loadCpus, ports[proxy].web, 1)
  await alternate(bench.rounds, async (proxy) => {
    const before = scene[proxy].cpuMs
    const { count, perSecond } = await connections(scene.loadCpus, ports[proxy].web, bench.seconds)
    rates[proxy].push(perSecond)
    costs[proxy].push(((scene[proxy].cpuMs - before) * 1000) / count)
  })
  return [
    compare(bench, 'opened and closed', 'per second', rates, { atLeast: 0.4 }),
    compare(bench, 'processor time of the proxy for each', 'µs', costs),
  ]
}

const streams = async (bench: ForwardBench, scene: Scene): Promise<readonly Figure[]> => {
  bench.print(`\nEight bulk streams${head}`)
  const figures: Figure[] = []
  for (const download of [false, true]) {
    const [rates, costs] = [empty(), empty()]
    await alternate(bench.rounds, async (proxy) => {
      const before = scene[proxy].cpuMs
      const bytesPerSecond = await bulk(scene.loadCpus, ports[proxy].bulk, bench.seconds, download)
      rates[proxy].push(bytesPerSecond / 1e6)
      costs[proxy].push((scene[proxy].cpuMs - before) / ((bytesPerSecond * bench.seconds) / 1e9))
      // iperf3 serves one client at a time, and says goodbye a little later.
      await sleep(200)
    })
    const way = download ? 'to the client' : 'to the endpoint'
    figures.push(
      compare(bench, way, 'MB/s', rates, { atLeast: 0.6 }),
      compare(bench, `${way}, processor time of the proxy per GB`, 'ms', costs),
    )
  }
  return figures
}

const requests = async (bench: ForwardBench, scene: Scene): Promise<readonly Figure[]> => {
  bench.print(`\nA request of 100 bytes on a kept connection${head}`)
  const [p50, p99] = [empty(), empty()]
  await alternate(bench.rounds, async (proxy) => {
    const direct = await latency(scene.loadCpus, ports.responders[0], bench.seconds)
    const through = await latency(scene.loadCpus, ports[proxy].web, bench.seconds)
    p50[proxy].push(Math.max(1, through.p50 - direct.p50))
    p99[proxy].push(Math.max(1, through.p99 - direct.p99))
  })
  return [
    compare(bench, 'added to the median without a proxy', 'µs', p50),
    compare(bench, 'added to the p99 without a proxy', 'µs', p99, { atMost: 3 }),
  ]
}

const idleConnections = async (bench: ForwardBench, scene: Scene): Promise<readonly Figure[]> => {
  const count = Math.min(bench.idle, scene.maxConnections - 20)
  bench.print(`\n${count.toLocaleString('en')} idle connections${head}`)
  if (count < bench.idle) bench.print(`  (the limit of open files allows no more)\n`)
  const memory = empty()
  for (const proxy of ['weir', 'haproxy'] as const) {
    const clients = holder(scene.loadCpus, 'connect', String(ports[proxy].idle), String(count))
    await clients.said('ready')
    memory[proxy].push(scene[proxy].rssMiB)
    await clients.end()
    await sleep(500)
  }
  const resident = compare(bench, 'resident memory of the proxy', 'MiB', memory)
  const met = (memory.weir[0] ?? Infinity) <= 300
  bench.print(`  ${''.padEnd(58)}  target ≤ 300 MiB: ${met ? 'met' : 'missed'}\n`)
  return [{ ...resident, target: '≤ 300 MiB', met }]
}

/** Memory and descriptors after each tenth of the connections. */
const soak = async (bench: ForwardBench, scene: Scene): Promise<readonly Figure[]> => {
  bench.print(`\n${bench.soak.toLocaleString('en')} connections opened and closed through weir\n`)
  const step = bench.soak / 10
  const [rss, descriptors]: [number[], number[]] = [[], []]
  for (let done = 0, next = step; done < bench.soak; ) {
    const { count } = await connections(scene.loadCpus, ports.weir.web, 2)
    done += count
    if (done < next) continue
    next += step
    await settled(scene.weir)
    rss.push(scene.weir.rssMiB)
    descriptors.push(scene.weir.descriptors)
    bench.print(
      `  after ${done.toLocaleString('en').padStart(11)}: ${figure(rss.at(-1) ?? 0)} MiB, ${descriptors.at(-1)} descriptors\n`,
    )
  }
  return [flat('memory', 'MiB', rss, 1.1), flat('descriptors', '', descriptors, 1)].map((one) => {
    bench.print(`  ${one.name}: ${one.target} ${one.met ? 'met' : 'missed'}\n`)
    return one
  })
}

/** Connections that the generator left behind have ended when the number of descriptors stands still. */
const settled = async (process: Process): Promise<void> => {
  for (let last = -1; last !== process.descriptors; await sleep(300)) last = process.descriptors
}

/** The second half of a soak against the first: what grows is still growing in the second. */
const flat = (name: string, unit: string, samples: readonly number[], atMost: number): Figure => {
  const half = Math.ceil(samples.length / 2)
  const ratio = median(samples.slice(half)) / median(samples.slice(0, half))
  const target = `second half ≤ ${atMost} × the first:`
  return { name, unit, weir: samples, haproxy: [], ratio, target, met: ratio <= atMost }
}

const head = `\n  ${''.padEnd(58)}${['weir', 'HAProxy'].map((text) => text.padStart(9)).join('')}   ratio\n`
