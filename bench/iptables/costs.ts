import { setTimeout as sleep } from 'node:timers/promises'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { changeKinds } from '../cluster/changes.ts'
import type { Target } from '../report.ts'
import { type Bench, size } from '../sections/section.ts'
import { median } from '../stats.ts'
import { Fleet, type Pair } from './fleet.ts'
import type { LayoutName } from './layouts.ts'
import type { Applied, FirstSync } from './operations.ts'
import { otherChanges } from './other-changes.ts'

const defaultLayouts: readonly LayoutName[] = ['plain', 'ipset']
/** One endpoint changes, in the nft variant. */
const nftTargetMs = 40
/** One endpoint changes, against the tool alone, in the legacy variant. */
const bareTarget = 1.05
/** Sets against kube-proxy's rules: how many there are, and what the legacy tool takes for a change. */
const setsTarget = 0.6
const targetServices = 5_000
const pauseMs = 50

/** What first syncs, restarts and changes cost, in one variant. */
export const costs = async (bench: Bench, variant: Variant): Promise<void> => {
  const { options, report, begin } = bench
  const { seed, endpoints, iptables } = options
  const { services, limitMs, layouts = defaultLayouts } = iptables
  const title = `iptables, ${variant} variant, ${size(services, endpoints)} endpoints`
  const fleet = new Fleet({ variant, limitMs, spec: { seed, services, endpoints, scattered: true } })
  try {
    await begin(`${title}: first sync and restart, a process each time`)
    const pairs: Pair[] = []
    for (const name of layouts) {
      try {
        pairs.push(await fleet.start(name))
      } catch (error) {
        report.progress(`${name}: ${error instanceof Error ? error.message.split('\n')[0] : error}`)
        continue
      }
      const pair = pairs.at(-1)
      if (pair !== undefined) showStart(bench, variant, pair)
    }
    const ratio = ratioOfSets(pairs, ({ cold }) => cold[0]?.rules)
    if (ratio !== undefined) report.add(`${variant}, rules, ipset : plain`, '×', [ratio], atMost(bench, setsTarget))
    await begin(`${title}: changes, handed over → applied, in turn with the tool alone`)
    await oneEndpoint(bench, variant, pairs)
    await begin(`${title}: other changes`)
    for (const pair of pairs) await otherChanges(bench, pair)
  } finally {
    await fleet.close()
  }
}

const atMost = ({ options }: Bench, value: number): { readonly targets: readonly Target[] } => ({
  targets: options.iptables.services === targetServices ? [{ of: 'p50', atMost: value }] : [],
})

const showStart = ({ report }: Bench, variant: Variant, { name, cold, restart }: Pair): void => {
  const of = (pick: (run: FirstSync) => number): readonly number[] => cold.map(pick)
  report.add(
    `${name}, cold: objects in memory → applied`,
    'ms',
    of(({ totalMs }) => totalMs),
  )
  report.add(
    '  desired state and plan',
    'ms',
    of(({ desiredMs, planMs }) => desiredMs + planMs),
  )
  report.add(
    '  iptables-restore',
    'ms',
    of(({ restoreMs }) => restoreMs),
  )
  report.add('  rules', 'rules', [Math.max(...of(({ rules }) => rules))])
  report.add(`${name}, restart over the unchanged cluster`, 'ms', [restart.totalMs])
  report.add('  iptables-save, read and parsed', 'ms', [restart.saveMs])
  report.add(`  ${variant}, ${name}, written by a restart`, 'rules', [restart.written], {
    targets: [{ of: 'max', atMost: 0 }],
  })
}

const ratioOfSets = (pairs: readonly Pair[], pick: (pair: Pair) => number | undefined): number | undefined => {
  const figure = (wanted: LayoutName): number | undefined => {
    const pair = pairs.find(({ name }) => name === wanted)
    return pair === undefined ? undefined : pick(pair)
  }
  const [with_, without] = [figure('ipset'), figure('plain')]
  return with_ === undefined || without === undefined ? undefined : with_ / without
}

interface Samples {
  readonly applied: Applied[]
  /** The tool alone, given the same lines. */
  readonly bareMs: number[]
}

const oneEndpoint = async (bench: Bench, variant: Variant, pairs: readonly Pair[]): Promise<void> => {
  const { options, report } = bench
  const { most, least, budgetMs } = options.quick
    ? { most: 12, least: 4, budgetMs: 5_000 }
    : { most: 60, least: 20, budgetMs: 10_000 }
  const samples = new Map<Pair, Samples>(pairs.map((pair) => [pair, { applied: [], bareMs: [] }]))
  const spent = new Map<Pair, number>()
  // The first changes run unoptimised code.
  for (let round = -4; round < most; round++) {
    for (const [pair, { applied, bareMs }] of samples) {
      if (round >= least && (spent.get(pair) ?? 0) > budgetMs) continue
      const start = performance.now()
      const change = await pair.weir.ask('change', changeKinds[(round + 4) % changeKinds.length] ?? 'replaced')
      // What the first leaves to be done, in the kernel and in the process, is no burden to the second.
      await sleep(pauseMs)
      const bare = await pair.twin.ask('restore', change.input)
      await sleep(pauseMs)
      spent.set(pair, (spent.get(pair) ?? 0) + performance.now() - start)
      if (round < 0) continue
      applied.push(change)
      bareMs.push(bare)
    }
  }
  for (const [{ name }, { applied, bareMs }] of samples) {
    const of = (pick: (change: Applied) => number): readonly number[] => applied.map(pick)
    report.add(
      `${variant}, ${name}, one endpoint changes`,
      'ms',
      of(({ totalMs }) => totalMs),
      variant === 'nft' ? atMost(bench, nftTargetMs) : {},
    )
    report.add(
      '  desired state and plan',
      'ms',
      of(({ planMs }) => planMs),
    )
    report.add(
      '  iptables-restore as weir runs it',
      'ms',
      of(({ restoreMs }) => restoreMs),
    )
    report.add('  iptables-restore alone, the same lines, an equal table', 'ms', bareMs)
    // Of neighbours in time: whatever else the machine does slows both of them down.
    const ratios = applied.map(({ totalMs }, i) => totalMs / (bareMs[i] ?? totalMs))
    const target = variant === 'legacy' ? atMost(bench, bareTarget) : {}
    report.add(`${variant}, ${name}, one endpoint : the tool alone`, '×', ratios, target)
  }
  const ratio = ratioOfSets(pairs, (pair) => median((samples.get(pair)?.applied ?? []).map((one) => one.restoreMs)))
  const target = variant === 'legacy' ? atMost(bench, setsTarget) : {}
  if (ratio !== undefined) report.add(`${variant}, commits, ipset : plain, medians`, '×', [ratio], target)
}
