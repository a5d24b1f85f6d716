import type { Worker } from '../process/worker.ts'
import { median } from '../stats.ts'
import type { GuestFigure, GuestPlan } from './figures.ts'
import type { Applied, IpvsOperations } from './operations.ts'

/** Round trips of one change, and what it may take against the same in a small cluster. */
const tripsTarget = 3
const sizeTarget = 1.5

export interface ChangeParts {
  readonly plan: GuestPlan
  readonly report: (figure: GuestFigure) => void
  readonly small: Worker<IpvsOperations>
  readonly large: Worker<IpvsOperations>
}

/** One that goes is looked at while it drains, so each kind is held against itself. */
const kinds = ['added', 'removed', 'weight'] as const
const words = { added: 'comes', removed: 'goes', weight: 'has another weight' } as const
/** The first changes run unoptimised code. */
const warmUp = 99

interface Sample {
  readonly kind: (typeof kinds)[number]
  readonly applied: Applied
}

/** Single endpoints change, in the small cluster and in the large one in turn. */
export const compareChanges = async ({ plan, report, small, large }: ChangeParts): Promise<void> => {
  const samples = { small: [] as Sample[], large: [] as Sample[] }
  for (let i = -warmUp; i < plan.changes; i++) {
    const kind = kinds[(i + warmUp) % kinds.length] ?? 'weight'
    // Who comes second has the processor's caches as the first one left them.
    const order = i % 2 === 0 ? (['small', 'large'] as const) : (['large', 'small'] as const)
    for (const which of order) {
      const applied = await { small, large }[which].ask('change', kind)
      if (i >= 0) samples[which].push({ kind, applied })
    }
  }
  for (const [services, list] of [
    [plan.few, samples.small],
    [plan.services, samples.large],
  ] as const)
    show(report, `one endpoint changes, ${services.toLocaleString('en')} Services`, list)
  const names = `${plan.services.toLocaleString('en')} : ${plan.few} Services`
  const targets = [{ of: 'p50', atMost: sizeTarget } as const]
  for (const kind of kinds) {
    const ratio = (pick: (applied: Applied) => number): readonly number[] => [
      medianOf(samples.large, kind, pick) / medianOf(samples.small, kind, pick),
    ]
    report({ name: `an endpoint ${words[kind]}, plan and apply, ${names}`, unit: '×', samples: ratio(work), targets })
    report({ name: '  handed over → applied', unit: '×', samples: ratio(total) })
  }
  const looks: number[] = []
  for (let i = 0; i < 20; i++) looks.push(await large.ask('look', undefined))
  report({ name: 'drain check: a look at the real servers of one', unit: 'ms', samples: looks })
}

const medianOf = (list: readonly Sample[], wanted: Sample['kind'], pick: (applied: Applied) => number): number =>
  median(list.filter(({ kind }) => kind === wanted).map(({ applied }) => pick(applied)))

const total = ({ totalMs }: Applied): number => totalMs
const work = ({ planMs, applyMs }: Applied): number => planMs + applyMs

const show = (report: ChangeParts['report'], name: string, samples: readonly Sample[]): void => {
  const applied = samples.map((sample) => sample.applied)
  report({ name: `${name}: plan and apply`, unit: 'ms', samples: applied.map(work) })
  report({ name: '  handed over → applied', unit: 'ms', samples: applied.map(total) })
  const trips = applied.map(({ requests }) => requests)
  const targets = [{ of: 'max', atMost: tripsTarget } as const]
  report({ name: `  round trips of each, ${name.split(', ')[1]}`, unit: 'round trips', samples: trips, targets })
  const later = applied.map((one) => one.later)
  report({ name: '  afterwards: drain checks, and looks at the whole', unit: 'round trips', samples: later })
}
