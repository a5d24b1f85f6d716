import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { parseCidr } from '../model/cidr.ts'
import { AliasTable, zipfWeights } from './alias-table.ts'
import { arrivalClock, expectedSpan } from './arrivals.ts'
import { Departures } from './departures.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { Histogram } from './histogram.ts'
import { addressesIn, Crowd } from './population.ts'
import { RandomStream } from './random-stream.ts'
import { Ring } from './ring.ts'
import { Slots } from './slots.ts'
import { Spread } from './spread.ts'

const time = fc.double({ min: 0, max: 100, noNaN: true })

test('departures come out by time, each with its slot', () => {
  fc.assert(
    fc.property(fc.array(fc.option(time, { nil: undefined }), { maxLength: 3000 }), (steps) => {
      const heap = new Departures()
      const left: number[] = []
      const times: number[] = []
      for (const step of steps) {
        if (step !== undefined) {
          heap.push(step, times.length)
          times.push(step)
          left.push(step)
        } else if (left.length > 0) {
          const least = Math.min(...left)
          expect(heap.first).toBe(least)
          expect(times[heap.pop()]).toBe(least)
          left.splice(left.indexOf(least), 1)
        }
        expect(heap.size).toBe(left.length)
      }
      expect(heap.first).toBe(Math.min(...left))
    }),
    { numRuns: 30 },
  )
})

test('a ring gives back what it got, in order, however it grew', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (steps) => {
      const ring = new Ring(2)
      const list: number[] = []
      steps.forEach((push, i) => {
        if (push || list.length === 0) {
          ring.push(i, -i)
          list.push(i)
        } else {
          expect([ring.first, ring.second]).toEqual([list[0], -(list.shift() ?? 0)])
          ring.shift()
        }
        expect(ring.size).toBe(list.length)
      })
      expect(ring.first).toBe(list[0] ?? Number.POSITIVE_INFINITY)
    }),
  )
})

test('no slot is given to two connections at a time', () => {
  const slots = new Slots()
  const taken = new Set<number>()
  for (let i = 0; i < 5000; i++) {
    const slot = slots.take(i, i % 7, 0)
    expect(taken.has(slot)).toBe(false)
    taken.add(slot)
    if (i % 3 === 0) {
      slots.release(slot)
      taken.delete(slot)
    }
  }
  for (const slot of taken) expect((slots.arrival[slot] ?? 0) % 7).toBe(slots.server[slot])
})

describe('Histogram', () => {
  it('is off by less than 0.4 % of the true quantile', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 1e-9, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 }),
        (values) => {
          const histogram = new Histogram(2 ** -40)
          for (const value of values) histogram.add(value)
          const sorted = values.toSorted((a, b) => a - b)
          for (const share of [0.5, 0.9, 0.99, 1]) {
            const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0
            expect(Math.abs(histogram.quantile(share) / exact - 1)).toBeLessThan(0.004)
          }
          expect(histogram.max).toBe(sorted.at(-1))
        },
      ),
    )
  })

  it('is exact for whole numbers below 256 and for 0', () => {
    for (let value = 0; value < 256; value++) {
      const histogram = new Histogram(1)
      histogram.add(value, 3)
      histogram.add(1000, 1)
      expect(Math.floor(histogram.quantile(0.5))).toBe(value)
      expect(histogram.mean).toBe((3 * value + 1000) / 4)
    }
  })

  it('weighs, and has 0 for nothing', () => {
    const histogram = new Histogram(1)
    expect([histogram.mean, histogram.quantile(0.99), histogram.max]).toEqual([0, 0, 0])
    histogram.add(1, 99)
    histogram.add(200, 1)
    expect(Math.floor(histogram.quantile(0.99))).toBe(1)
    expect(Math.floor(histogram.quantile(0.991))).toBe(200)
  })
})

describe('random numbers', () => {
  it('follow from seed and purpose, and are spread evenly', () => {
    const draw = (seed: number, purpose: number): readonly number[] => {
      const stream = new RandomStream(seed, purpose)
      return Array.from({ length: 4 }, () => stream.next())
    }
    expect(draw(1, 2)).toEqual(draw(1, 2))
    expect(draw(1, 2)).not.toEqual(draw(2, 1))
    const stream = new RandomStream(7, 1)
    const counts = new Uint32Array(64)
    for (let i = 0; i < 640_000; i++) {
      const at = stream.below(64)
      counts[at] = (counts[at] ?? 0) + 1
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)
    // 63 degrees of freedom: 0.1 % and 99.9 %.
    expect(chiSquare).toBeGreaterThan(34)
    expect(chiSquare).toBeLessThan(104)
  })

  it('of streams with neighbouring seeds have nothing in common', () => {
    let same = 0
    for (let seed = 0; seed < 200; seed++) {
      const a = new RandomStream(seed, 1)
      const b = new RandomStream(seed + 1, 1)
      for (let i = 0; i < 100; i++) if (a.below(16) === b.below(16)) same++
    }
    expect(Math.abs(same / 20_000 - 1 / 16)).toBeLessThan(0.006)
  })

  test.each([[[1, 1]], [[5, 1, 0.5]], [[...zipfWeights(1000, 1.2)]]])('are drawn by weight', (weights) => {
    const table = new AliasTable(Float64Array.from(weights))
    const stream = new RandomStream(1, 1)
    const counts = weights.map(() => 0)
    for (let i = 0; i < 300_000; i++) {
      const at = table.draw(stream)
      counts[at] = (counts[at] ?? 0) + 1
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    counts.slice(0, 20).forEach((count, i) => {
      const expected = (300_000 * (weights[i] ?? 0)) / total
      expect(Math.abs(count - expected)).toBeLessThan(4 * Math.sqrt(expected))
    })
  })
})

describe('a crowd', () => {
  const crowd = (text: string, number: number): Crowd => {
    const addresses = parseCidr(text)
    if (addresses === undefined) throw new Error(text)
    return new Crowd({ number, skew: 0, addresses }, 42)
  }

  test.each([
    ['192.0.2.0/24', 256, /^192\.0\.2\.\d+$/],
    ['192.0.2.6/31', 2, /^192\.0\.2\.[67]$/],
    ['192.0.2.1/32', 1, /^192\.0\.2\.1$/],
    ['198.18.0.0/15', 131_072, /^198\.1[89]\.\d+\.\d+$/],
    ['0.0.0.0/0', 50_000, /^[\d.]+$/],
    ['2001:db8::/120', 256, /^2001:db8::/],
    ['2001:db8::/64', 50_000, /^2001:db8::/],
  ])('in %s may be %i, no two alike', (cidr, number, pattern) => {
    const { addresses } = crowd(cidr, number)
    expect(new Set(addresses).size).toBe(number)
    for (const address of addresses) if (!pattern.test(address)) throw new Error(address)
  })

  it('has at most 2^32 addresses', () => {
    const all = ['10.0.0.0/8', '0.0.0.0/0', '2001:db8::/32'].map((text) => parseCidr(text))
    expect(all.map((cidr) => (cidr === undefined ? 0 : addressesIn(cidr)))).toEqual([2 ** 24, 2 ** 32, 2 ** 32])
  })
})

describe('arrivals', () => {
  const first = (arrivals: Parameters<typeof arrivalClock>[0], count: number): readonly number[] => {
    const next = arrivalClock(arrivals, new RandomStream(1, 1))
    return Array.from({ length: count }, () => next())
  }

  it('come at even times, or in bursts', () => {
    expect(first({ kind: 'constant', rate: 4 }, 4)).toEqual([0, 0.25, 0.5, 0.75])
    expect(first({ kind: 'bursts', rate: 2, size: 4, within: 0 }, 6)).toEqual([0, 0, 0, 0, 2, 2])
    expect(first({ kind: 'bursts', rate: 2, size: 4, within: 1 }, 6)).toEqual([0, 0.25, 0.5, 0.75, 2, 2.25])
  })

  it('of Poisson have gaps with the mean and the deviation of exponential ones', () => {
    const times = first({ kind: 'poisson', rate: 50 }, 100_000)
    const gaps = times.map((at, i) => at - (times[i - 1] ?? 0))
    const spread = new Spread()
    for (const gap of gaps) spread.add(gap)
    expect((times.at(-1) ?? 0) / 100_000).toBeCloseTo(0.02, 3)
    expect(spread.cv).toBeCloseTo(1, 2)
  })

  it('of a ramp come at the rate of their time', () => {
    const ramp = { kind: 'ramp', from: 100, to: 1000, over: 100 } as const
    const times = first(ramp, 100_000)
    const during = (from: number, to: number): number => times.filter((at) => at >= from && at < to).length
    // The rate is 100 + 9 t.
    expect(Math.abs(during(0, 20) - 3_800)).toBeLessThan(250)
    expect(Math.abs(during(80, 100) - 18_200)).toBeLessThan(550)
    expect(Math.abs(during(100, 120) - 20_000)).toBeLessThan(570)
    expect(expectedSpan(ramp, 100_000)).toBeCloseTo(145, 6)
    expect(expectedSpan({ kind: 'ramp', from: 0, to: 1000, over: 100 }, 12_500)).toBeCloseTo(50, 6)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
  })
})

describe('durations', () => {
  test.each([
    ['10ms', 0.01],
    ['1.5s', 1.5],
    ['250us', 0.00025],
    ['250µs', 0.00025],
    ['3 ns', 3e-9],
    ['2m', 120],
    ['1h', 3600],
    ['0', 0],
    ['0s', 0],
    ['10', undefined],
    ['-1s', undefined],
    ['1d', undefined],
    ['1e3s', undefined],
    ['1m30s', undefined],
    ['', undefined],
  ])('%s is %s s', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds)
  })

  test.each([
    [0, '0 s'],
    [1e-9, '1.00 ns'],
    [0.0000125, '12.5 µs'],
    [0.0099996, '10.0 ms'],
    [0.99999, '1.00 s'],
    [12.345, '12.3 s'],
    [99.96, '100 s'],
    [1234.5, '1235 s'],
  ])('%s s are shown as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })
})
