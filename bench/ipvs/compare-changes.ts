import { changeKinds } from '../cluster/changes.ts'
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

const kinds = [...changeKinds, 'weight'] as const
/** The first changes run unoptimised code. */
const warmUp = 100

/** Single endpoints change, in the small cluster and in the large one in turn. */
export const compareChanges = async ({ plan, report, small, large }: ChangeParts): Promise<void> => {
  const samples = { small: [] as Applied[], large: [] as Applied[] }
  for (let i = -warmUp; i < plan.changes; i++) {
    const kind = kinds[(i + warmUp) % kinds.length] ?? 'weight'
    const [few, many] = [await small.ask('change', kind), await large.ask('change', kind)]
    if (i < 0) continue
    samples.small.push(few)
    samples.large.push(many)
  }
  for (const [services, applied] of [
    [plan.few, samples.small],
    [plan.services, samples.large],
  ] as const)
    show(report, `one endpoint changes, ${services.toLocaleString('en')} Services`, applied)
  const ratio = (pick: (applied: Applied) => number): readonly number[] => [
    median(samples.large.map(pick)) / median(samples.small.map(pick)),
  ]
  const targets = [{ of: 'p50', atMost: sizeTarget } as const]
  const names = `${plan.services.toLocaleString('en')} : ${plan.few} Services`
  report({ name: `one endpoint, plan and apply, ${names}, medians`, unit: '×', samples: ratio(work), targets })
  report({ name: `one endpoint, handed over → applied, ${names}`, unit: '×', samples: ratio(total), targets })
  const looks: number[] = []
  for (let i = 0; i < 20; i++) looks.push(await large.ask('look', undefined))
  report({ name: 'drain check: a look at the real servers of one', unit: 'ms', samples: looks })
}

const total = ({ totalMs }: Applied): number => totalMs
const work = ({ planMs, applyMs }: Applied): number => planMs + applyMs

const show = (report: ChangeParts['report'], name: string, applied: readonly Applied[]): void => {
  report({ name: `${name}: plan and apply`, unit: 'ms', samples: applied.map(work) })
  report({ name: '  handed over → applied', unit: 'ms', samples: applied.map(total) })
  const trips = applied.map(({ requests }) => requests)
  report({ name: '  round trips', unit: 'round trips', samples: trips, targets: [{ of: 'max', atMost: tripsTarget }] })
  const later = applied.map(({ later }) => later)
  report({ name: '  afterwards: drain checks, and looks at the whole', unit: 'round trips', samples: later })
}
