import { assertNever } from '../model/assert-never.ts'
import type { RandomStream } from './random-stream.ts'
import type { Arrivals } from './scenario.ts'

/** Each call gives the next arrival, in seconds from the start. */
export type ArrivalClock = () => number

export const arrivalClock = (arrivals: Arrivals, stream: RandomStream): ArrivalClock => {
  switch (arrivals.kind) {
    case 'constant': {
      let count = 0
      return () => count++ / arrivals.rate
    }
    case 'poisson': {
      let time = 0
      return () => {
        time -= Math.log(stream.uniform()) / arrivals.rate
        return time
      }
    }
    case 'bursts': {
      const { rate, size, within } = arrivals
      let count = 0
      return () => {
        const place = count % size
        const start = (count - place) / rate
        count++
        return start + (place / size) * within
      }
    }
    case 'ramp': {
      let expected = 0
      return () => {
        expected -= Math.log(stream.uniform())
        return whenExpected(arrivals, expected)
      }
    }
    default:
      return assertNever(arrivals, 'arrivals')
  }
}

/** About how long so many arrivals take, in seconds. */
export const expectedSpan = (arrivals: Arrivals, connections: number): number =>
  arrivals.kind === 'ramp' ? whenExpected(arrivals, connections) : connections / arrivals.rate

/** When the rate of a ramp has added up to `count`: a Poisson process is one of rate 1 on that scale. */
const whenExpected = ({ from, to, over }: Arrivals & { readonly kind: 'ramp' }, count: number): number => {
  const during = ((from + to) / 2) * over
  if (count >= during) return over + (count - during) / to
  const slope = (to - from) / over
  // The root of slope / 2 × t² + from × t = count, in the form that does not cancel for small slopes.
  return (2 * count) / (from + Math.sqrt(from * from + 2 * slope * count))
}
