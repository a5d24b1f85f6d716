import { assertNever } from '../model/assert-never.ts'
import type { Field, Mapping } from './field.ts'
import { limits } from './limits.ts'
import type { Arrivals } from './scenario.ts'

const patterns = ['poisson', 'constant', 'bursts', 'ramp'] as const

/** A placeholder once something was wrong: the scenario is refused then. */
const nothing: Arrivals = { kind: 'poisson', rate: 1 }

const parameters = {
  poisson: ['rate'],
  constant: ['rate'],
  bursts: ['rate', 'size', 'within'],
  ramp: ['from', 'to', 'over'],
} as const satisfies Record<(typeof patterns)[number], readonly string[]>

export const readArrivals = (field: Field | undefined): Arrivals => {
  if (field === undefined) return nothing
  const map = field.mapping(['pattern', ...new Set(Object.values(parameters).flat())])
  const pattern = map.need('pattern')?.choice(patterns)
  if (pattern === undefined) return nothing
  const own: readonly string[] = parameters[pattern]
  for (const name of map.names)
    if (name !== 'pattern' && !own.includes(name))
      map.get(name)?.wrong(`pattern ${pattern} has no such field; its own are ${own.join(', ')}`)
  switch (pattern) {
    case 'poisson':
    case 'constant':
      return { kind: pattern, rate: rateOf(map, 'rate') }
    case 'bursts':
      return readBursts(map)
    case 'ramp':
      return {
        kind: 'ramp',
        from: map.need('from')?.number({ ...limits.rate, min: 0 }) ?? 0,
        to: rateOf(map, 'to'),
        over: map.need('over')?.duration({ ...limits.duration, min: 1e-6 }) ?? 1,
      }
    default:
      return assertNever(pattern, 'pattern')
  }
}

const rateOf = (map: Mapping, name: string): number => map.need(name)?.number(limits.rate) ?? 1

const readBursts = (map: Mapping): Arrivals => {
  const rate = rateOf(map, 'rate')
  const size = map.need('size')?.whole(limits.burst) ?? 1
  const within = map.get('within')?.duration(limits.duration) ?? 0
  if (within > size / rate)
    map.get('within')?.wrong(`is longer than the ${size / rate} s from one burst to the next (size / rate)`)
  return { kind: 'bursts', rate, size, within }
}
