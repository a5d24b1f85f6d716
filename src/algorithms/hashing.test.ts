/** sh, dh and mh: who stays where when servers come, go and change. */
import { describe, expect, it } from 'vitest'
import { clientAddress, packetOf, serversOf } from '../../test/support/lvs.ts'
import type { SchedulerFlag } from '../model/scheduling.ts'
import type { Packet } from './packet.ts'
import { createScheduler } from './registry.ts'
import type { Scheduler } from './scheduler.ts'
import type { Server } from './server.ts'

const clients: readonly Packet[] = Array.from({ length: 3000 }, (_, i) => ({
  client: clientAddress(0x0a800000 + i * 2654435),
  clientPort: 1024 + i,
  destination: clientAddress(0xc6336400 + i),
}))
const picks = (scheduler: Scheduler): readonly (Server | undefined)[] => clients.map((packet) => scheduler.pick(packet))
const moved = (before: readonly unknown[], after: readonly unknown[], gone?: unknown): number =>
  before.filter((owner, i) => owner !== gone && owner !== after[i]).length
const at = (servers: readonly Server[], i: number): Server => {
  const server = servers[i]
  if (server === undefined) throw new RangeError(`no server ${i}`)
  return server
}
const quiesce = (scheduler: Scheduler, server: Server): void => {
  server.weight = 0
  scheduler.update(server)
}

describe.each(['sh', 'dh', 'mh'] as const)('%s', (name) => {
  it('sends one client, or destination, to one server whatever the load', () => {
    const servers = serversOf([1, 2, 3, 4])
    const scheduler = createScheduler(name, { servers })
    const before = picks(scheduler)
    for (const [i, server] of servers.entries()) Object.assign(server, { active: i * 1000, inactive: 7 })
    expect(picks(scheduler)).toEqual(before)
    expect(new Set(before).size).toBe(4)
  })

  it('has forgotten a server that came and went', () => {
    const servers = serversOf([1, 2, 3, 4])
    const scheduler = createScheduler(name, { servers })
    const before = picks(scheduler)
    const [passing] = serversOf([5])
    if (passing === undefined) throw new Error('no server')
    scheduler.add(passing)
    expect(picks(scheduler)).toContain(passing)
    scheduler.remove(passing)
    expect(picks(scheduler)).toEqual(before)
  })

  it('finds nobody when the server it leads to is overloaded, and nobody else moves', () => {
    const servers = serversOf([1, 1, 1])
    const scheduler = createScheduler(name, { servers })
    const before = picks(scheduler)
    at(servers, 1).overloaded = true
    expect(picks(scheduler)).toEqual(before.map((owner) => (owner === servers[1] ? undefined : owner)))
  })

  it('finds nobody in an empty service', () => {
    const servers = serversOf([1])
    const scheduler = createScheduler(name, { servers })
    scheduler.remove(at(servers, 0))
    expect(scheduler.pick(packetOf())).toBe(undefined)
    scheduler.add(at(servers, 0))
    expect(scheduler.pick(packetOf())).toBe(servers[0])
  })
})

describe.each([
  ['sh', ['sh-fallback', 'sh-port']],
  ['mh', ['mh-fallback', 'mh-port']],
] as const)('%s', (name, flags: readonly SchedulerFlag[]) => {
  it('falls back for the clients of an unusable server only', () => {
    const servers = serversOf([1, 1, 1, 1])
    const scheduler = createScheduler(name, { servers, flags })
    const before = picks(scheduler)
    at(servers, 2).overloaded = true
    const after = picks(scheduler)
    expect(after).not.toContain(servers[2])
    expect(after).not.toContain(undefined)
    expect(moved(before, after, servers[2])).toBe(0)
    for (const server of servers) server.overloaded = true
    expect(new Set(picks(scheduler))).toEqual(new Set([undefined]))
  })

  it('looks at the port only when it is told to', () => {
    const servers = serversOf([1, 1, 1])
    const owners = (flags: readonly SchedulerFlag[]): number => {
      const scheduler = createScheduler(name, { servers, flags })
      return new Set(Array.from({ length: 200 }, (_, i) => scheduler.pick(packetOf('192.0.2.1', 1000 + i)))).size
    }
    expect(owners([])).toBe(1)
    expect(owners(flags)).toBe(3)
  })

  it('shares by weight', () => {
    const weights = [1, 2, 5]
    const servers = serversOf(weights)
    const owners = picks(createScheduler(name, { servers }))
    servers.forEach((server, i) => {
      const share = owners.filter((owner) => owner === server).length / owners.length
      expect(Math.abs(share - (weights[i] ?? 0) / 8)).toBeLessThan(0.03)
    })
  })
})

describe('sh and dh', () => {
  it('sh keeps a bucket per round for a quiesced server, and deals out anew when weights change', () => {
    const servers = serversOf([3, 1])
    const scheduler = createScheduler('sh', { servers })
    const before = picks(scheduler)
    quiesce(scheduler, at(servers, 0))
    const after = picks(scheduler)
    const lost = after.filter((owner) => owner === undefined).length / clients.length
    expect(Math.abs(lost - 1 / 2)).toBeLessThan(0.05)
    expect(before.some((owner, i) => owner === servers[0] && after[i] === servers[1])).toBe(true)
  })

  it('dh ignores weights but for 0, and deals nothing out when they change', () => {
    const servers = serversOf([9, 1])
    const scheduler = createScheduler('dh', { servers })
    const before = picks(scheduler)
    expect(before.filter((owner) => owner === servers[0]).length / clients.length).toBeCloseTo(0.5, 1)
    quiesce(scheduler, at(servers, 0))
    expect(picks(scheduler)).toEqual(before.map((owner) => (owner === servers[0] ? undefined : owner)))
  })

  it('take tables of other sizes', () => {
    const servers = serversOf([1, 1, 1])
    const small = picks(createScheduler('sh', { servers, tableBits: 4 }))
    expect(new Set(small).size).toBe(3)
    expect(small).not.toEqual(picks(createScheduler('sh', { servers })))
    for (const tableBits of [3, 21, 8.5])
      expect(() => createScheduler('dh', { servers, tableBits })).toThrow('no whole number from 4 to 20')
  })
})

describe('mh', () => {
  it('moves few clients of the others when one of 8 servers goes, where sh moves most', () => {
    const weights = [1, 1, 1, 1, 1, 1, 1, 1]
    const share = (name: 'mh' | 'sh'): number => {
      const servers = serversOf(weights)
      const scheduler = createScheduler(name, { servers })
      const before = picks(scheduler)
      scheduler.remove(at(servers, 3))
      return moved(before, picks(scheduler), servers[3]) / clients.length
    }
    expect(share('mh')).toBeLessThan(0.03)
    expect(share('sh')).toBeGreaterThan(0.5)
  })

  it('takes about one share of the clients for a new server, and hardly moves any other', () => {
    const servers = serversOf([1, 1, 1, 1, 1, 1, 1, 1])
    const [last, ...others] = servers
    if (last === undefined) throw new Error('no server')
    const scheduler = createScheduler('mh', { servers: others })
    const before = picks(scheduler)
    scheduler.add(last)
    const after = picks(scheduler)
    const taken = after.filter((owner) => owner === last).length
    expect(Math.abs(taken / clients.length - 1 / 8)).toBeLessThan(0.02)
    expect((moved(before, after) - taken) / clients.length).toBeLessThan(0.03)
  })

  it('moves nobody when a server is quiesced and comes back', () => {
    const servers = serversOf([4, 2, 1])
    const scheduler = createScheduler('mh', { servers })
    const before = picks(scheduler)
    quiesce(scheduler, at(servers, 0))
    expect(picks(scheduler)).toEqual(before.map((owner) => (owner === servers[0] ? undefined : owner)))
    at(servers, 0).weight = 4
    scheduler.update(at(servers, 0))
    expect(picks(scheduler)).toEqual(before)
  })

  it('gives no slot to a server that is added with weight 0, until it has one', () => {
    const [idle, ...others] = serversOf([0, 1, 1])
    if (idle === undefined) throw new Error('no server')
    const scheduler = createScheduler('mh', { servers: others })
    const before = picks(scheduler)
    scheduler.add(idle)
    expect(picks(scheduler)).toEqual(before)
    idle.weight = 1
    scheduler.update(idle)
    expect(picks(scheduler)).toContain(idle)
  })

  it('forgets the last weight of a server that is added again', () => {
    const servers = serversOf([1, 1])
    const scheduler = createScheduler('mh', { servers })
    scheduler.remove(at(servers, 0))
    at(servers, 0).weight = 0
    scheduler.add(at(servers, 0))
    expect(new Set(picks(scheduler))).toEqual(new Set([servers[1]]))
  })

  it('keeps the last weight of a quiesced server when it is bound anew', () => {
    const servers = serversOf([1, 1])
    const first = createScheduler('rr', { servers })
    quiesce(first, at(servers, 0))
    const owners = picks(createScheduler('mh', { servers: first.servers }))
    expect(owners.filter((owner) => owner === undefined).length / clients.length).toBeCloseTo(0.5, 1)
  })

  it('cannot be bound to more servers than slots; added later they leave the table as it was', () => {
    const servers = serversOf(Array.from({ length: 252 }, () => 1))
    expect(() => createScheduler('mh', { servers, maglevSize: 251 })).toThrow('252 servers for 251 slots')
    const [last, ...others] = servers
    if (last === undefined) throw new Error('no server')
    const scheduler = createScheduler('mh', { servers: others, maglevSize: 251 })
    const before = picks(scheduler)
    scheduler.add(last)
    expect(picks(scheduler)).toEqual(before)
    scheduler.remove(at(others, 0))
    expect(picks(scheduler)).toContain(last)
  })

  it('knows only the sizes that the kernel has', () =>
    expect(() => createScheduler('mh', { maglevSize: 4096 })).toThrow('none of 251, 509'))
})
