import { describe, expect, it } from 'vitest'
import { ip, port } from '../../../test/property/track-objects.ts'
import { maglevSizeFor } from '../../algorithms/mh-table.ts'
import type { Target } from '../../model/desired.ts'
import { defaultScheduling, type Scheduler } from '../../model/scheduling.ts'
import { isNftScheduler, nftSchedulers, slotTable } from './slots.ts'

/** One target for each weight, named a, b, c … */
const targets = (...weights: readonly number[]): readonly Target[] =>
  weights.map((weight, i) => ({ ip: ip(`10.0.${i >> 8}.${i & 255}`), port: port(8080), weight, local: false }))

const order = (scheduler: Scheduler, list: readonly Target[]): readonly number[] =>
  slotTable(list, { ...defaultScheduling, scheduler }).map((target) => list.indexOf(target))
const letters = (scheduler: Scheduler, ...weights: readonly number[]): string =>
  order(scheduler, targets(...weights))
    .map((index) => 'abcdefgh'.charAt(index))
    .join('')
const shares = (slots: readonly number[], of: number): readonly number[] =>
  Array.from({ length: of }, (_, i) => slots.filter((index) => index === i).length)

describe('slot tables', () => {
  it.each(nftSchedulers)('%s: nothing for no targets', (scheduler) => {
    expect(slotTable([], { ...defaultScheduling, scheduler })).toEqual([])
  })

  it.each(['random', 'rr', 'wrr', 'sh', 'dh'] as const)('%s: equal weights are a slot each, in order', (scheduler) => {
    expect(letters(scheduler, 1, 1, 1)).toBe('abc')
    expect(letters(scheduler, 7, 7, 7)).toBe('abc')
  })

  it.each(['random', 'sh', 'dh'] as const)('%s: weights are slots, in lowest terms', (scheduler) => {
    expect(letters(scheduler, 2, 4, 6)).toBe('abbccc')
    expect(letters(scheduler, 65_535, 13_107)).toBe('aaaaab')
  })

  it('rr knows no weights', () => {
    expect(letters('rr', 2, 4, 6)).toBe('abc')
  })

  it('wrr takes turns as LVS does', () => {
    // The example of the LVS documentation: weights 4, 3 and 2.
    expect(letters('wrr', 4, 3, 2)).toBe('aababcabc')
    expect(letters('wrr', 8, 6, 4)).toBe('aababcabc')
  })

  it('uneven weights are scaled down to some thousand slots, and nobody is left without one', () => {
    for (const scheduler of ['random', 'wrr'] as const) {
      const slots = order(scheduler, targets(65_535, 1, 30_001))
      expect(slots.length).toBeLessThanOrEqual(4096 + 3)
      const [a = 0, b = 0, c = 0] = shares(slots, 3)
      expect(b).toBe(1)
      expect(a / c).toBeCloseTo(65_535 / 30_001, 1)
    }
  })

  it('mh: every target has about its share', () => {
    const even = order('mh', targets(1, 1, 1, 1, 1))
    expect(even).toHaveLength(8191)
    for (const share of shares(even, 5)) expect(Math.abs(share - 8191 / 5)).toBeLessThan(2)
    const uneven = order('mh', targets(1, 3))
    expect(shares(uneven, 2)[1]).toBeGreaterThan(8191 * 0.74)
  })

  it('mh: when one goes, hardly anything moves that was not its own', () => {
    const list = targets(...Array.from({ length: 10 }, () => 1))
    const before = slotTable(list, { ...defaultScheduling, scheduler: 'mh' })
    const after = slotTable(
      list.filter((_, i) => i !== 4),
      { ...defaultScheduling, scheduler: 'mh' },
    )
    const moved = before.filter((target, slot) => target !== list[4] && after[slot] !== target).length
    expect(moved).toBeLessThan(0.02 * before.length)
  })

  it('a Maglev table has a prime number of slots that grows with the endpoints', () => {
    const sizes = [1, 16, 17, 64, 65, 160, 161, 5000].map(maglevSizeFor)
    expect(sizes).toEqual([8191, 8191, 16_381, 16_381, 32_749, 32_749, 65_521, 65_521])
    for (const size of new Set(sizes))
      for (let divisor = 2; divisor * divisor <= size; divisor++) expect(size % divisor).not.toBe(0)
    expect(Math.max(...sizes), 'the slots of both ranges must not overlap').toBeLessThan(65_536)
  })

  it('what nftables cannot do is done at random', () => {
    expect(isNftScheduler('lc')).toBe(false)
    expect(letters('lc', 1, 2)).toBe('abb')
  })
})
