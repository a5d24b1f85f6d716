import { describe, expect, it } from 'vitest'
import type { Clock } from './clock.ts'
import { createRateLimit } from './rate-limit.ts'

const never = new AbortController().signal

const stoppedClock = (): { readonly clock: Clock; readonly waits: number[]; advance(ms: number): void } => {
  let now = 1_000_000
  const waits: number[] = []
  const clock: Clock = { now: () => now, sleep: async (ms) => void waits.push(ms) }
  const advance = (ms: number): void => {
    now += ms
  }
  return { clock, waits, advance }
}

describe('the rate limit', () => {
  it('lets a burst through, and then one after another', async () => {
    const { clock, waits } = stoppedClock()
    const limit = createRateLimit({ qps: 5, burst: 3 }, clock)
    for (let i = 0; i < 6; i++) await limit.take(never)
    expect(waits).toEqual([200, 400, 600])
  })

  it('fills up with time, to the burst and no further', async () => {
    const { clock, waits, advance } = stoppedClock()
    const limit = createRateLimit({ qps: 10, burst: 2 }, clock)
    for (let i = 0; i < 2; i++) await limit.take(never)
    advance(150)
    for (let i = 0; i < 2; i++) await limit.take(never)
    advance(60_000)
    for (let i = 0; i < 3; i++) await limit.take(never)
    expect(waits).toEqual([50, 100])
  })

  it('is none for a qps of 0 or less', async () => {
    const { clock, waits } = stoppedClock()
    const limit = createRateLimit({ qps: -1, burst: 0 }, clock)
    for (let i = 0; i < 100; i++) await limit.take(never)
    expect(waits).toEqual([])
  })

  it('survives a clock that jumps back', async () => {
    const { clock, waits, advance } = stoppedClock()
    const limit = createRateLimit({ qps: 1, burst: 1 }, clock)
    await limit.take(never)
    advance(-3_600_000)
    await limit.take(never)
    expect(waits).toEqual([1000])
  })
})
