import { describe, expect, it } from 'vitest'
import { createBackoff } from './backoff.ts'

const take = (count: number, next: () => number): readonly number[] => Array.from({ length: count }, next)

describe('the backoff', () => {
  it('doubles its bound up to the cap, and starts anew after a reset', () => {
    const backoff = createBackoff({ baseMs: 800, capMs: 30_000 }, () => 0.5)
    expect(take(8, backoff.next)).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000])
    backoff.reset()
    expect(backoff.next()).toBe(400)
  })

  it('takes any delay from none to its bound', () => {
    const numbers = [0, 0.999]
    const backoff = createBackoff({ baseMs: 1000, capMs: 1000 }, () => numbers.shift() ?? 0)
    expect(take(2, backoff.next)).toEqual([0, 999])
  })
})
