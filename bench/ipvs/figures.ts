import type { Extra, Unit } from '../report.ts'

/** What the guest is told to do; as JSON, its only argument. */
export interface GuestPlan {
  readonly seed: number
  readonly services: number
  readonly endpoints: number
  /** Services of the cluster that the large one is held against. */
  readonly few: number
  /** Loads of a clean table, by each of those that are compared. */
  readonly rounds: number
  /** Changes of single endpoints that count, in each cluster. */
  readonly changes: number
}

/** What the guest prints: one as JSON per line. */
export interface GuestFigure extends Extra {
  readonly name: string
  readonly unit: Unit
  readonly samples: readonly number[]
}

const prefix = 'figure '

export const figureLine = (figure: GuestFigure): string => `${prefix}${JSON.stringify(figure)}\n`

/** Both ends are ours, so what it says is taken on trust. */
export const readFigures = (output: string): readonly GuestFigure[] =>
  output
    .split('\n')
    .filter((line) => line.startsWith(prefix))
    .map((line) => JSON.parse(line.slice(prefix.length)) as GuestFigure)
