import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { wrrSequence } from './wrr-sequence.ts'

interface Vector {
  readonly id: string
  readonly scheduler: string
  readonly servers: readonly { readonly id: string; readonly weight: number; readonly overloaded?: boolean }[]
  readonly steps: readonly { readonly op: string }[]
  readonly expectedPicks: readonly (string | null)[]
}
const golden: { readonly vectors: readonly Vector[] } = JSON.parse(
  readFileSync(new URL('../../test/golden/lvs/schedulers.json', import.meta.url), 'utf8'),
)

const letters = (weights: readonly number[], limit = 1000): string =>
  [...wrrSequence(weights, limit)].map((i) => String.fromCharCode(97 + i)).join('')

/** Vectors of a service that nothing happens to: the others are about how changes move the cursor. */
const still = golden.vectors.filter(
  ({ scheduler, servers, steps }) =>
    scheduler === 'wrr' &&
    steps.every(({ op }) => op === 'pick') &&
    servers.some((server) => server.overloaded !== true),
)

describe('wrrSequence', () => {
  it.each(still)('$id: repeats as the kernel picks', ({ servers, expectedPicks }) => {
    const period = [
      ...wrrSequence(
        servers.map(({ weight, overloaded }) => (overloaded === true ? 0 : weight)),
        1000,
      ),
    ].map((i) => servers[i]?.id)
    expect(expectedPicks.length % period.length).toBe(0)
    expect(expectedPicks).toEqual(expectedPicks.map((_, i) => period[i % period.length]))
  })

  it('has seen vectors', () => expect(still.map(({ id }) => id)).toEqual(['wrr-01', 'wrr-02', 'wrr-04', 'wrr-05']))

  it.each([
    ['wrr-08', [4, 3, 2], 3],
    ['wrr-10', [1, 3], 3],
    ['wrr-11', [6, 3], 5],
    ['wrr-13', [2, 1], 5],
  ])('%s: what the kernel settles into after its cursor was reset', (id, weights, settled) => {
    const picks =
      golden.vectors
        .find((vector) => vector.id === id)
        ?.expectedPicks.slice(settled)
        .join('') ?? ''
    expect(picks.length).toBeGreaterThan(0)
    expect(letters(weights).repeat(9).startsWith(picks)).toBe(true)
  })

  it('divides by the greatest common divisor', () => {
    expect(letters([500, 500])).toBe('ab')
    expect(letters([65535, 0, 65535 * 2])).toBe('cac')
  })

  it('is empty without a positive weight', () => {
    expect(wrrSequence([], 8).length).toBe(0)
    expect(wrrSequence([0, 0], 8).length).toBe(0)
  })

  it.each<[readonly number[], number, Record<string, number>]>([
    [[50, 30, 21], 10, { a: 5, b: 3, c: 2 }],
    [[997, 1, 1], 10, { a: 8, b: 1, c: 1 }],
    [[65535, 65534], 64, { a: 1, b: 1 }],
    [[7, 7, 7, 1], 4, { a: 1, b: 1, c: 1, d: 1 }],
    [[1000, 10, 9, 1], 2, { a: 1 }],
  ])('scales %j down to %i slots', (weights, limit, expected) => {
    const sequence = letters(weights, limit)
    const counts: Record<string, number> = {}
    for (const letter of sequence) counts[letter] = (counts[letter] ?? 0) + 1
    expect(counts).toEqual(expected)
    expect(sequence.length).toBeLessThanOrEqual(limit)
  })

  it('keeps proportions within one slot and every server while there is room', () => {
    const weights = Array.from({ length: 40 }, (_, i) => (i * 7919) % 997)
    const sum = weights.reduce((a, b) => a + b)
    const limit = 512
    const sequence = wrrSequence(weights, limit)
    const counts = weights.map(() => 0)
    for (const server of sequence) counts[server] = (counts[server] ?? 0) + 1
    weights.forEach((weight, i) => {
      if (weight === 0) expect(counts[i]).toBe(0)
      else {
        expect(counts[i]).toBeGreaterThanOrEqual(1)
        expect(Math.abs((counts[i] ?? 0) - (weight * sequence.length) / sum)).toBeLessThanOrEqual(1)
      }
    })
  })

  it('costs its period, not servers times weight', () => {
    const weights = [60000, ...Array.from({ length: 5000 }, () => 1)]
    const sequence = wrrSequence(weights, 65536)
    expect(sequence.length).toBe(65000)
    expect(sequence.subarray(0, 59999).every((server) => server === 0)).toBe(true)
    expect([...sequence.subarray(59999, 60002)]).toEqual([0, 1, 2])
  })

  it('refuses what cannot be a sequence', () => {
    expect(() => wrrSequence([1], 0)).toThrow(RangeError)
    expect(() => wrrSequence([1], 1.5)).toThrow(RangeError)
  })
})
