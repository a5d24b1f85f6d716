import { type Summary, summarise } from './stats.ts'

export type Unit = 'ms' | 'µs' | 'MiB' | 'elements' | 'rules' | 'round trips' | '×'

/** What a figure is held against. It is shown beside the figure; it never fails a run, because machines differ. */
export interface Target {
  readonly of: 'p50' | 'p99' | 'max'
  readonly atMost: number
}

/** One line of the report. Single measurements have a summary of one. */
export interface Measure {
  readonly group: string
  readonly name: string
  readonly unit: Unit
  readonly summary: Summary
  readonly targets: readonly Target[]
  readonly note: string | undefined
}

export interface Extra {
  readonly targets?: readonly Target[]
  readonly note?: string
}

/** Collects measures, and tells of each as it comes. */
export class Report {
  readonly measures: Measure[] = []
  /** What could not be measured here, or not to its end. */
  readonly skipped: { readonly group: string; readonly why: string }[] = []
  readonly #print: (text: string) => void
  #group = ''

  constructor(print: (text: string) => void) {
    this.#print = print
  }

  /** What follows belongs together. `load`: the machine's load average just now. */
  begin(group: string, load: string): void {
    this.#group = group
    this.#print(`\n${group}  (load ${load})\n${headLine}\n`)
  }

  add(name: string, unit: Unit, samples: readonly number[], { targets = [], note }: Extra = {}): Summary {
    const summary = summarise(samples)
    const measure = { group: this.#group, name, unit, summary, targets, note }
    this.measures.push(measure)
    this.#print(`${measureLine(measure)}\n`)
    return summary
  }

  progress(text: string): void {
    this.#print(`  … ${text}\n`)
  }

  /** Says so now, and once more at the end. */
  notRun(group: string, why: string): void {
    this.skipped.push({ group, why })
    this.#print(`\n${notRunLine(group, why)}\n`)
  }

  /** What was not measured. */
  omissions(): string {
    return this.skipped.map(({ group, why }) => `${notRunLine(group, why.split('\n', 1)[0] ?? why)}\n`).join('')
  }

  /** Every figure with a target, once more. */
  targets(): string {
    const lines = this.measures
      .filter(({ targets }) => targets.length > 0)
      .flatMap((measure) => measure.targets.map((target) => targetLine(measure, target)))
    return lines.length === 0 ? '' : ['', 'Against the targets', ...lines, ''].join('\n')
  }
}

/** Three significant digits, or all digits before the point. */
export const figure = (value: number): string => {
  if (value === 0) return '0'
  const rounded = Number(value.toPrecision(3))
  if (Math.abs(rounded) >= 100) return Math.round(value).toLocaleString('en')
  return rounded.toFixed(Math.max(0, Math.min(4, 2 - Math.floor(Math.log10(Math.abs(rounded))))))
}

const notRunLine = (group: string, why: string): string => `NOT RUN: ${group}: ${why}`

const nameWidth = 64
const cell = (text: string): string => text.padStart(9)
const headLine = `  ${''.padEnd(nameWidth)}${['median', 'p99', 'min', 'max', 'n'].map(cell).join('')}`

const measureLine = ({ name, unit, summary: { p50, p99, min, max, n }, note }: Measure): string => {
  const figures = n === 1 ? [figure(p50)] : [...[p50, p99, min, max].map(figure), String(n)]
  const remark = note === undefined ? '' : `  ${note}`
  return `  ${`${name}, ${unit}`.padEnd(nameWidth)}${figures.map(cell).join('')}${remark}`
}

const targetLine = ({ name, unit, summary }: Measure, { of, atMost }: Target): string => {
  const value = summary[of]
  const which = of === 'p50' ? 'median' : of
  const said = value <= atMost ? 'met' : 'missed'
  return `  ${`${name}, ${which}`.padEnd(nameWidth)}${`target ≤ ${figure(atMost)} ${unit}`.padEnd(22)}${cell(figure(value))} ${unit.padEnd(9)}${said}`
}
