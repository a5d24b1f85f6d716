import type { Packet } from '../../src/algorithms/packet.ts'
import { seededRandom } from '../../src/algorithms/random-source.ts'
import { createScheduler } from '../../src/algorithms/registry.ts'
import { createServer, type Server } from '../../src/algorithms/server.ts'
import { readIP } from '../../src/model/ip.ts'
import { parsePort } from '../../src/model/port.ts'
import type { Scheduler as SchedulerName } from '../../src/model/scheduling.ts'
import { naive, type Pick } from './naive.ts'

const address = (value: number) => readIP('IPv4', Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value), 0)
const http = parsePort(80)
if (http === undefined) throw new Error('no port')

/** Weights 1 to 10 and up to a hundred connections, all usable; the same for the same `count`. */
export const makeServers = (count: number): readonly Server[] => {
  const random = seededRandom(count)
  return Array.from({ length: count }, (_, i) =>
    createServer({
      ip: address(0x0a010000 + i),
      port: http,
      weight: 1 + random(10),
      active: random(10),
      inactive: random(90),
    }),
  )
}

/** 1,024 clients that ask for 256 addresses. A power of two. */
export const packets: readonly Packet[] = Array.from({ length: 1024 }, (_, i) => ({
  client: address((0x0a800000 + i * 2654435) >>> 0),
  clientPort: 1024 + i,
  destination: address(0xc6336400 + (i % 256)),
}))

/** The library's pick, over servers of its own. */
export const ours = (name: SchedulerName, servers: readonly Server[]): Pick => {
  const scheduler = createScheduler(name, {
    servers,
    random: seededRandom(1),
    now: () => 0,
    // The default table has 4093 slots, and LVS takes no more servers than slots.
    maglevSize: servers.length > 4093 ? 8191 : 4093,
  })
  return (packet) => scheduler.pick(packet)
}

export const theirs = (name: SchedulerName, servers: readonly Server[]): Pick => naive(name, servers, seededRandom(1))

/** Connections that stay open; a power of two. */
const open = 64

/** Picks `count` times; each picked server gets a connection, and the one of 64 picks ago loses its own. */
export const drive = (pick: Pick, count: number): void => {
  const ring = new Array<Server | undefined>(open).fill(undefined)
  for (let i = 0; i < count; i++) {
    const packet = packets[i & (packets.length - 1)]
    if (packet === undefined) continue
    const picked = pick(packet)
    const oldest = ring[i & (open - 1)]
    if (oldest !== undefined) oldest.active--
    if (picked !== undefined) picked.active++
    ring[i & (open - 1)] = picked
  }
  for (const server of ring) if (server !== undefined) server.active--
}

/** Throws unless both pick the same servers, by position, while connections come and go. */
export const agree = (name: SchedulerName, count: number): void => {
  if (name === 'mh') return
  const picks = [ours, theirs].map((make) => {
    const servers = makeServers(count)
    const pick = make(name, servers)
    const seen: number[] = []
    drive((packet) => {
      const picked = pick(packet)
      seen.push(picked === undefined ? -1 : servers.indexOf(picked))
      return picked
    }, 500)
    return seen.join()
  })
  if (picks[0] !== picks[1]) throw new Error(`${name} with ${count} servers: the naive implementation picks others`)
}
