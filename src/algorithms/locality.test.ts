/** lblc and lblcr: what they remember, and for how long. */
import { describe, expect, it } from 'vitest'
import { clientAddress, packetOf, serversOf } from '../../test/support/lvs.ts'
import { tickSeconds } from './destination-cache.ts'
import type { Packet } from './packet.ts'
import { createScheduler } from './registry.ts'
import type { Scheduler, SchedulerOptions } from './scheduler.ts'
import type { Server } from './server.ts'

interface Stage {
  readonly scheduler: Scheduler
  readonly a: Server
  readonly b: Server
  /** Lets time pass, and ticks every minute of it. */
  readonly pass: (minutes: number) => void
  /** Makes `to` the server that wlc would choose. */
  readonly prefer: (to: Server) => void
}

const stage = (name: 'lblc' | 'lblcr', options: SchedulerOptions = {}): Stage => {
  const [a, b] = serversOf([100, 100])
  if (a === undefined || b === undefined) throw new Error('no servers')
  let clock = 5000
  const scheduler = createScheduler(name, { servers: [a, b], now: () => clock, ...options })
  return {
    scheduler,
    a,
    b,
    pass: (minutes) => {
      for (let i = 0; i < minutes; i++) {
        clock += tickSeconds
        scheduler.tick()
      }
    },
    prefer: (to) => {
      a.active = to === a ? 60 : 61
      b.active = to === b ? 60 : 61
    },
  }
}
const destination = (i: number): Packet => ({ ...packetOf(), destination: clientAddress(0x0b000000 + i) })

describe.each(['lblc', 'lblcr'] as const)('%s', (name) => {
  it('keeps a destination where it is, and chooses for a new one', () => {
    const { scheduler, a, b, prefer } = stage(name)
    prefer(a)
    expect(scheduler.pick(destination(1))).toBe(a)
    prefer(b)
    expect(scheduler.pick(destination(1))).toBe(a)
    expect(scheduler.pick(destination(2))).toBe(b)
  })

  it('tells destinations apart that have the same hash, of either family', () => {
    const { scheduler, a, b, prefer } = stage(name)
    const pick = (address: string): Server | undefined => scheduler.pick(packetOf('192.0.2.1', 1, address))
    prefer(a)
    // The words of all three fold to 0x0a000001.
    expect(pick('10.0.0.1')).toBe(a)
    prefer(b)
    expect(pick('::a00:1')).toBe(b)
    expect(pick('a00:1::')).toBe(b)
    prefer(a)
    expect(pick('10.0.0.1')).toBe(a)
    expect(pick('::a00:1')).toBe(b)
  })

  it('drops what was unused for a day, at the half-hourly check', () => {
    const { scheduler, a, b, pass, prefer } = stage(name)
    prefer(a)
    scheduler.pick(destination(1))
    scheduler.pick(destination(2))
    pass(60)
    expect(scheduler.pick(destination(2))).toBe(a)
    prefer(b)
    pass(24 * 60 - 61)
    pass(1)
    expect(scheduler.pick(destination(1))).toBe(b)
    expect(scheduler.pick(destination(2))).toBe(a)
  })

  it('looks at the age of entries every 30 ticks only', () => {
    const { scheduler, a, b, pass, prefer } = stage(name, { expiration: 90 })
    prefer(a)
    scheduler.pick(destination(1))
    pass(29)
    prefer(b)
    expect(scheduler.pick(destination(1))).toBe(a)
    pass(1)
    expect(scheduler.pick(destination(1))).toBe(a)
    pass(30)
    expect(scheduler.pick(destination(1))).toBe(b)
  })

  it('collects up to 4/3 of the surplus over 16384 entries once they are six minutes old', () => {
    const { scheduler, a, b, pass, prefer } = stage(name)
    prefer(a)
    for (let i = 0; i < 16384 + 300; i++) scheduler.pick(destination(i * 7919))
    pass(5)
    prefer(b)
    const left = (): number => {
      let kept = 0
      for (let i = 0; i < 16384 + 300; i++) if (scheduler.pick(destination(i * 7919)) === a) kept++
      return kept
    }
    pass(1)
    const dropped = 16384 + 300 - left()
    // A bucket is finished once it is begun; each holds about 16.
    expect(dropped).toBeGreaterThanOrEqual(400)
    expect(dropped).toBeLessThan(400 + 40)
  })

  it('learns nothing new beyond its limit, and goes on choosing', () => {
    const { scheduler, a, b, prefer } = stage(name, { cacheLimit: 10 })
    prefer(a)
    for (let i = 0; i < 11; i++) expect(scheduler.pick(destination(i))).toBe(a)
    prefer(b)
    expect(Array.from({ length: 11 }, (_, i) => scheduler.pick(destination(i)))).toEqual([...Array(10).fill(a), b])
  })

  it('has a limit of 24576 unless told otherwise', () => {
    const { scheduler, a, b, prefer } = stage(name)
    prefer(a)
    for (let i = 0; i < 24577; i++) scheduler.pick(destination(i))
    prefer(b)
    expect(scheduler.pick(destination(24575))).toBe(a)
    expect(scheduler.pick(destination(24576))).toBe(b)
  })

  it('does not follow a server that is removed, and returns to it when it is added again', () => {
    const { scheduler, a, b, prefer } = stage(name)
    prefer(a)
    scheduler.pick(destination(1))
    scheduler.pick(destination(2))
    scheduler.remove(a)
    expect(scheduler.pick(destination(1))).toBe(b)
    scheduler.add(a)
    prefer(b)
    expect(scheduler.pick(destination(2))).toBe(a)
  })
})

describe('lblc', () => {
  it('leaves a crowded server only for one that is half idle', () => {
    const { scheduler, a, b } = stage('lblc')
    scheduler.pick(destination(1))
    Object.assign(a, { active: 101 })
    Object.assign(b, { active: 50 })
    expect(scheduler.pick(destination(1))).toBe(a)
    Object.assign(b, { active: 49 })
    expect(scheduler.pick(destination(1))).toBe(b)
    Object.assign(a, { active: 0 })
    expect(scheduler.pick(destination(1))).toBe(b)
  })

  it('uses a remembered server that is overloaded', () => {
    const { scheduler, a } = stage('lblc')
    scheduler.pick(destination(1))
    a.overloaded = true
    expect(scheduler.pick(destination(1))).toBe(a)
  })
})

describe('lblcr', () => {
  const grown = (): Stage => {
    const made = stage('lblcr')
    const { scheduler, a, b } = made
    scheduler.pick(destination(1))
    Object.assign(a, { active: 101 })
    Object.assign(b, { active: 10 })
    scheduler.pick(destination(1))
    return made
  }

  it('adds a server to the set when the best one is crowded, and then balances within the set', () => {
    const { scheduler, a, b } = grown()
    Object.assign(a, { active: 5 })
    expect(scheduler.pick(destination(1))).toBe(a)
    Object.assign(a, { active: 11 })
    expect(scheduler.pick(destination(1))).toBe(b)
  })

  it('drops the most loaded member of a set that did not change for more than a day', () => {
    const { scheduler, a, b, pass } = grown()
    Object.assign(a, { active: 20 })
    for (let hour = 0; hour < 24; hour++) {
      pass(60)
      expect(scheduler.pick(destination(1))).toBe(b)
    }
    // Exactly a day: not yet.
    Object.assign(a, { active: 5 })
    expect(scheduler.pick(destination(1))).toBe(a)
    Object.assign(a, { active: 20 })
    pass(1)
    expect(scheduler.pick(destination(1))).toBe(b)
    Object.assign(a, { active: 5 })
    expect(scheduler.pick(destination(1))).toBe(b)
  })
})
