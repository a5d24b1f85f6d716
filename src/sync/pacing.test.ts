import { describe, expect, it } from 'vitest'
import { Pacing } from './pacing.ts'

const pacing = (over: Partial<ConstructorParameters<typeof Pacing>[0]> = {}): Pacing =>
  new Pacing({ minSyncPeriodMs: 0, syncPeriodMs: 30_000, random: () => 0, ...over })

describe('pacing', () => {
  it('goes at once unless told to pause', () => {
    const pace = pacing()
    expect(pace.delay(0)).toBe(0)
    pace.succeeded(100)
    expect(pace.delay(100)).toBe(0)
  })

  it('pauses minSyncPeriod from the end of a sync', () => {
    const pace = pacing({ minSyncPeriodMs: 1000 })
    pace.succeeded(100)
    expect(pace.delay(100)).toBe(1000)
    expect(pace.delay(1099)).toBe(1)
    expect(pace.delay(1100)).toBe(0)
    expect(pace.delay(5000)).toBe(0)
  })

  it('doubles its retries up to the sync period, and begins anew after a success', () => {
    const pace = pacing({ syncPeriodMs: 1000 })
    expect([0, 1, 2, 3, 4, 5, 6].map(() => pace.failed(0))).toEqual([50, 100, 200, 400, 800, 1000, 1000])
    expect(pace.delay(0)).toBe(1000)
    expect(pace.failing).toBe(true)
    pace.succeeded(2000)
    expect(pace.failing).toBe(false)
    expect(pace.failed(2000)).toBe(50)
  })

  it('stays at the sync period however long it fails', () => {
    const pace = pacing()
    for (let i = 0; i < 2000; i++) expect(pace.failed(i)).toBeLessThanOrEqual(30_000)
  })

  it('spreads retries by up to a fifth, and never below minSyncPeriod', () => {
    expect(pacing({ random: () => 0.999_999 }).failed(0)).toBeCloseTo(40, 3)
    expect(pacing({ minSyncPeriodMs: 500, random: () => 0.5 }).failed(0)).toBe(500)
  })
})
