import { describe, expect, it } from 'vitest'
import { packetOf, serversOf } from '../../test/support/lvs.ts'
import { schedulers } from '../model/scheduling.ts'
import { seededRandom } from './random-source.ts'
import { createScheduler } from './registry.ts'
import { SchedulerError } from './scheduler-error.ts'

const sources = { random: seededRandom(3), now: () => 0 }
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run()
  } catch (error) {
    if (error instanceof SchedulerError) return error.code
    throw error
  }
  return undefined
}

describe.each(schedulers)('%s', (name) => {
  it('serves a service that fills up and empties again', () => {
    const scheduler = createScheduler(name, sources)
    expect(scheduler.name).toBe(name)
    expect(scheduler.pick(packetOf())).toBe(undefined)
    const [a, b, c] = serversOf([1, 1, 1])
    if (a === undefined || b === undefined || c === undefined) throw new Error('no servers')
    for (const server of [a, b, c]) scheduler.add(server)
    expect(scheduler.servers).toEqual([c, b, a])
    expect(scheduler.servers).toContain(scheduler.pick(packetOf()))
    scheduler.remove(b)
    expect(scheduler.servers).toEqual([c, a])
    scheduler.remove(c)
    expect(scheduler.pick(packetOf())).toBe(a)
    a.weight = 0
    scheduler.update(a)
    expect(scheduler.pick(packetOf())).toBe(undefined)
    a.weight = 5
    scheduler.update(a)
    expect(scheduler.pick(packetOf())).toBe(a)
    scheduler.remove(a)
    expect(scheduler.servers).toEqual([])
    expect(scheduler.pick(packetOf())).toBe(undefined)
  })

  it('refuses what LVS refuses, and goes on', () => {
    const [a, b] = serversOf([1, 1])
    if (a === undefined || b === undefined) throw new Error('no servers')
    const scheduler = createScheduler(name, { ...sources, servers: [a] })
    expect(codeOf(() => scheduler.add(a))).toBe('exists')
    expect(codeOf(() => scheduler.remove(b))).toBe('not-found')
    expect(codeOf(() => scheduler.update(b))).toBe('not-found')
    b.weight = -1
    expect(codeOf(() => scheduler.add(b))).toBe('out-of-range')
    expect(codeOf(() => createScheduler(name, { ...sources, servers: [a, a] }))).toBe('exists')
    expect(scheduler.servers).toEqual([a])
    expect(scheduler.pick(packetOf())).toBe(a)
  })
})

describe('sources', () => {
  it('are asked for by the types, and missed at once without them', () => {
    // @ts-expect-error random needs random numbers
    expect(codeOf(() => createScheduler('random'))).toBe('no-source')
    // @ts-expect-error twos needs random numbers
    expect(codeOf(() => createScheduler('twos', {}))).toBe('no-source')
    // @ts-expect-error lblc needs a clock
    expect(codeOf(() => createScheduler('lblc', { random: seededRandom(1) }))).toBe('no-source')
    // @ts-expect-error lblcr needs a clock
    expect(codeOf(() => createScheduler('lblcr'))).toBe('no-source')
    expect(codeOf(() => createScheduler('rr'))).toBe(undefined)
  })

  it('seededRandom repeats itself, covers its range evenly and stays within it', () => {
    const draw = (seed: number): readonly number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 5000 }, () => random(5))
    }
    expect(draw(1)).toEqual(draw(1))
    expect(draw(1)).not.toEqual(draw(2))
    for (let value = 0; value < 5; value++)
      expect(Math.abs(draw(1).filter((drawn) => drawn === value).length - 1000)).toBeLessThan(120)
    expect(new Set(draw(9))).toEqual(new Set([0, 1, 2, 3, 4]))
  })
})

it("a list given to a scheduler stays the caller's", () => {
  const servers = serversOf([1, 1])
  const scheduler = createScheduler('rr', { servers })
  servers.pop()
  expect(scheduler.servers).toHaveLength(2)
})
