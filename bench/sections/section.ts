import type { Options } from '../options.ts'
import type { Report } from '../report.ts'

export interface Bench {
  readonly options: Options
  readonly report: Report
  /** Begins a group of figures, when the machine is quiet or has been given time to be. */
  readonly begin: (group: string) => Promise<void>
}

export const workerModule = new URL('../proxy/worker.js', import.meta.url)

export const size = (services: number, endpoints: number): string => `${services.toLocaleString('en')} × ${endpoints}`
