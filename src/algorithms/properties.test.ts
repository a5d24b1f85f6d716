/** What must hold of schedulers by their definition, on services that fast-check makes up. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientAddress, packetOf, serversOf } from '../../test/support/lvs.ts'
import { type Scheduler as SchedulerName, schedulers } from '../model/scheduling.ts'
import type { Packet } from './packet.ts'
import { seededRandom } from './random-source.ts'
import { createScheduler } from './registry.ts'
import type { Scheduler, SchedulerOptions } from './scheduler.ts'
import { isUsable, type Server } from './server.ts'
import { wrrSequence } from './wrr-sequence.ts'

const bind = (name: SchedulerName, options: SchedulerOptions = {}): Scheduler =>
  createScheduler(name, { random: seededRandom(1), now: () => 0, ...options })

/** A service in any state: quiesced and overloaded servers, any number of connections. */
const service = fc
  .array(
    fc.record({
      weight: fc.oneof(fc.nat(4), fc.nat(65535)),
      active: fc.oneof(fc.nat(3), fc.nat(100_000)),
      inactive: fc.oneof(fc.nat(3), fc.nat(1000)),
      overloaded: fc.boolean(),
    }),
    { minLength: 1, maxLength: 9 },
  )
  .map((states) =>
    serversOf(states.map(({ weight }) => weight)).map((server, i) => Object.assign(server, states[i] ?? {})),
  )
const packet = fc
  .record({ client: fc.nat(0x7fffffff), clientPort: fc.integer({ min: 1, max: 65535 }), destination: fc.nat(7) })
  .map(
    ({ client, clientPort, destination }): Packet => ({
      client: clientAddress(client),
      clientPort,
      destination: clientAddress(0x0a000000 + destination),
    }),
  )
const packets = fc.array(packet, { minLength: 1, maxLength: 20 })

/** The first of those with the smallest cost. */
const cheapest = (servers: readonly Server[], cost: (server: Server) => number): Server | undefined => {
  const usable = servers.filter(isUsable)
  const least = Math.min(...usable.map(cost))
  return usable.find((server) => cost(server) === least)
}
const load = ({ active, inactive }: Server): number => active * 257 + inactive

describe('every scheduler', () => {
  it.each(schedulers)('%s picks nobody who is quiesced, overloaded or gone', (name) => {
    fc.assert(
      fc.property(service, packets, fc.nat(8), (servers, packets, gone) => {
        const scheduler = bind(name, { servers, flags: ['sh-fallback', 'mh-fallback'] })
        const removed = servers[gone]
        if (removed !== undefined) scheduler.remove(removed)
        for (const packet of packets) {
          const picked = scheduler.pick(packet)
          if (picked === undefined) continue
          expect(picked).not.toBe(removed)
          expect(scheduler.servers).toContain(picked)
          expect(isUsable(picked)).toBe(true)
        }
      }),
    )
  })

  const always = schedulers.filter((name) => name !== 'ovf' && name !== 'dh' && name !== 'sh' && name !== 'mh')
  it.each(always)('%s finds somebody whenever somebody is usable', (name) => {
    fc.assert(
      fc.property(service, packets, (servers, packets) => {
        const scheduler = bind(name, { servers })
        for (const packet of packets) expect(scheduler.pick(packet) !== undefined).toBe(servers.some(isUsable))
      }),
    )
  })

  it.each(schedulers)('%s picks the same again from the same start', (name) => {
    fc.assert(
      fc.property(service, packets, (servers, packets) => {
        const picks = (): readonly (Server | undefined)[] => {
          const scheduler = bind(name, { servers })
          return packets.map((packet) => scheduler.pick(packet))
        }
        expect(picks()).toEqual(picks())
      }),
    )
  })

  it.each(schedulers)('%s leaves the counters to the caller', (name) => {
    fc.assert(
      fc.property(service, packets, (servers, packets) => {
        const before = structuredClone(servers)
        const scheduler = bind(name, { servers })
        for (const packet of packets) scheduler.pick(packet)
        scheduler.tick()
        expect(servers).toEqual(before)
      }),
    )
  })
})

describe('turns', () => {
  it('rr gives each usable server one, in list order, whatever the weights', () => {
    fc.assert(
      fc.property(service, (servers) => {
        const scheduler = bind('rr', { servers })
        const usable = servers.filter(isUsable)
        for (let round = 0; round < 3; round++) expect(usable.map(() => scheduler.pick(packetOf()))).toEqual(usable)
      }),
    )
  })

  it('wrr gives each server its weight over the greatest common divisor in every cycle', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(12), { minLength: 1, maxLength: 8 }), fc.nat(5), (weights, factor) => {
        const servers = serversOf(weights.map((weight) => weight * (factor + 1)))
        const cycle = wrrSequence(weights, 1000)
        const scheduler = bind('wrr', { servers })
        for (let round = 0; round < 3; round++)
          for (const index of cycle) expect(scheduler.pick(packetOf())).toBe(servers[index])
      }),
    )
  })

  it('wrr goes on in proportion to the weights after any changes', () => {
    const changes = fc.array(fc.tuple(fc.nat(4), fc.nat(6), fc.nat(9)), { maxLength: 8 })
    fc.assert(
      fc.property(fc.array(fc.nat(6), { minLength: 5, maxLength: 5 }), changes, (weights, changes) => {
        const servers = serversOf(weights)
        const scheduler = bind('wrr', { servers })
        for (const [which, weight, picks] of changes) {
          const server = servers[which]
          if (server === undefined) continue
          server.weight = weight
          scheduler.update(server)
          for (let i = 0; i < picks; i++) scheduler.pick(packetOf())
        }
        const cycle = wrrSequence(
          servers.map(({ weight }) => weight),
          1000,
        )
        const counts = new Map<Server | undefined, number>()
        for (let i = 0; i < cycle.length; i++) {
          const picked = scheduler.pick(packetOf())
          counts.set(picked, (counts.get(picked) ?? 0) + 1)
        }
        // Where the cycle begins does not matter: any stretch of its length has all of it.
        const due = new Map<Server | undefined, number>()
        for (const index of cycle) due.set(servers[index], (due.get(servers[index]) ?? 0) + 1)
        expect(counts).toEqual(due)
      }),
    )
  })

  it('wrr with only the heaviest overloaded does not walk every threshold', () => {
    const servers = serversOf([2_000_000_011, ...Array.from({ length: 999 }, () => 1)])
    Object.assign(servers[0] ?? {}, { overloaded: true })
    const scheduler = bind('wrr', { servers })
    // Two thousand million rounds of a thousand servers would outlast any time limit.
    for (let i = 1; i < 1000; i++) expect(scheduler.pick(packetOf())).toBe(servers[i])
    expect(scheduler.pick(packetOf())).toBe(servers[1])
  })
})

describe('least', () => {
  it.each([
    ['lc', load],
    ['wlc', (server: Server) => load(server) / server.weight],
    ['sed', (server: Server) => (server.active + 1) / server.weight],
    ['fo', (server: Server) => -server.weight],
    ['nq', (server: Server) => (server.active === 0 ? 0 : (server.active + 1) / server.weight)],
    ['ovf', (server: Server) => (server.active > server.weight ? 1 : -server.weight)],
  ] as const)('%s picks the first of the cheapest', (name, cost) => {
    fc.assert(
      fc.property(service, (servers) => {
        const expected = cheapest(servers, cost)
        const found = name === 'ovf' && expected !== undefined && cost(expected) > 0 ? undefined : expected
        expect(bind(name, { servers }).pick(packetOf())).toBe(found)
      }),
      { numRuns: 300 },
    )
  })

  it('legacy overhead changes lc', () => {
    const servers = serversOf([1, 1])
    Object.assign(servers[0] ?? {}, { active: 1 })
    Object.assign(servers[1] ?? {}, { inactive: 256 })
    expect(bind('lc', { servers }).pick(packetOf())).toBe(servers[1])
    expect(bind('lc', { servers, overhead: 'legacy' }).pick(packetOf())).toBe(servers[0])
  })
})

describe('chance', () => {
  it('twos picks the lighter of the two that were drawn, the first when they are even', () => {
    fc.assert(
      fc.property(service, fc.nat(0x7fffffff), fc.nat(0x7fffffff), (servers, first, second) => {
        for (const server of servers) Object.assign(server, { weight: server.weight % 50, active: server.active % 500 })
        const usable = servers.filter(isUsable)
        const total = usable.reduce((sum, { weight }) => sum + weight, 0)
        const draws = [first % (total + 1), second % (total + 1)]
        // The server whose share of 0..total holds the number; the first one's begins at 0, the others' one above.
        const drawn = draws.map((draw) => {
          let end = 0
          return usable.find(({ weight }) => {
            end += weight
            return draw <= end
          })
        })
        const queue = [...draws]
        const picked = bind('twos', {
          servers,
          random: (below) => {
            expect(below).toBe(total + 1)
            return queue.shift() ?? 0
          },
        }).pick(packetOf())
        const [a, b] = drawn
        if (a === undefined || b === undefined) expect(picked).toBe(undefined)
        else expect(picked).toBe(load(b) * a.weight < load(a) * b.weight ? b : a)
      }),
      { numRuns: 300 },
    )
  })

  it.each([
    ['random', (weight: number, _: number) => weight / 10],
    ['twos', (weight: number, i: number) => (weight + (i === 0 ? 1 : 0)) / 11],
  ] as const)('%s spreads by weight', (name, share) => {
    const weights = [2, 0, 3, 5]
    const servers = serversOf(weights)
    const scheduler = bind(name, { servers, random: seededRandom(7) })
    const picks = 40_000
    const counts = weights.map(() => 0)
    for (let i = 0; i < picks; i++) {
      // All even: whoever was drawn first is picked.
      const index = servers.indexOf(scheduler.pick(packetOf()) ?? servers[1] ?? Object.create(null))
      counts[index] = (counts[index] ?? 0) + 1
    }
    weights.forEach((weight, i) => {
      if (weight === 0) expect(counts[i]).toBe(0)
      else expect(Math.abs((counts[i] ?? 0) / picks - share(weight, i))).toBeLessThan(0.01)
    })
  })
})
