import { assertNever } from '../model/assert-never.ts'
import type { ServiceTime } from './scenario.ts'

/** Two numbers above 0 and below 1 → seconds. The same numbers serve every scheduler, so a connection asks as much of each. */
export type Demand = (u: number, v: number) => number

/** Inverse transforms, and Box-Muller for the logarithm of lognormal times. */
export const demandOf = (time: ServiceTime): Demand => {
  switch (time.kind) {
    case 'constant':
      return () => time.mean
    case 'exponential':
      return (u) => -time.mean * Math.log(u)
    case 'uniform':
      return (u) => time.from + u * (time.to - time.from)
    case 'lognormal': {
      const { mean, sigma } = time
      const mu = Math.log(mean) - (sigma * sigma) / 2
      return (u, v) => Math.exp(mu + sigma * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v))
    }
    case 'pareto': {
      const least = (time.mean * (time.alpha - 1)) / time.alpha
      return (u) => least * u ** (-1 / time.alpha)
    }
    default:
      return assertNever(time, 'service time')
  }
}
