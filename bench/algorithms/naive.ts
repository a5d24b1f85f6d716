/**
 * The schedulers as one would write them on first thought: filter, reduce and divide on every pick, a Map as a cache. They
 * pick the same servers as src/algorithms, which `agree` checks, except for mh: rendezvous hashing serves the same purpose
 * without a table.
 */
import { gcd } from '../../src/algorithms/gcd.ts'
import { foldAddress, hash32, maglevHash1 } from '../../src/algorithms/hash.ts'
import type { Packet } from '../../src/algorithms/packet.ts'
import type { RandomBelow } from '../../src/algorithms/random-source.ts'
import { isUsable, type Server } from '../../src/algorithms/server.ts'
import { assertNever } from '../../src/model/assert-never.ts'
import type { Scheduler as SchedulerName } from '../../src/model/scheduling.ts'

export type Pick = (packet: Packet) => Server | undefined

const least = (servers: readonly Server[], cost: (server: Server) => number): Server | undefined =>
  servers
    .filter(isUsable)
    .reduce<Server | undefined>(
      (best, server) => (best === undefined || cost(server) < cost(best) ? server : best),
      undefined,
    )

const overhead = ({ active, inactive }: Server): number => active * 257 + inactive
const wlc = (servers: readonly Server[]): Server | undefined => least(servers, (s) => overhead(s) / s.weight)
const delay = ({ active, weight }: Server): number => (active + 1) / weight
const total = (servers: readonly Server[]): number => servers.reduce((sum, { weight }) => sum + weight, 0)
const draw = (servers: readonly Server[], number: number): Server | undefined => {
  let left = number
  return servers.find(({ weight }) => {
    left -= weight
    return left <= 0
  })
}
const crowded = (server: Server, servers: readonly Server[]): boolean =>
  server.active > server.weight && servers.some(({ active, weight }) => active * 2 < weight)

export const naive = (name: SchedulerName, servers: readonly Server[], random: RandomBelow): Pick => {
  switch (name) {
    case 'random':
      return () => {
        const usable = servers.filter(isUsable)
        return draw(usable, random(total(usable)) + 1)
      }
    case 'rr': {
      let turn = 0
      return () => {
        const usable = servers.filter(isUsable)
        return usable[turn++ % usable.length]
      }
    }
    case 'wrr': {
      let turn = -1
      let threshold = 0
      return () => {
        const usable = servers.filter(isUsable)
        for (;;) {
          turn = (turn + 1) % usable.length
          if (turn === 0) {
            threshold -= usable.reduce((known, { weight }) => gcd(known, weight), 0)
            if (threshold <= 0) threshold = Math.max(...usable.map(({ weight }) => weight))
          }
          const server = usable[turn]
          if (server === undefined || server.weight >= threshold) return server
        }
      }
    }
    case 'lc':
      return () => least(servers, overhead)
    case 'wlc':
      return () => wlc(servers)
    case 'sed':
      return () => least(servers, delay)
    case 'nq':
      return () => servers.filter(isUsable).find(({ active }) => active === 0) ?? least(servers, delay)
    case 'fo':
      return () => least(servers, ({ weight }) => -weight)
    case 'ovf':
      return () =>
        least(
          servers.filter(({ active, weight }) => active <= weight),
          ({ weight }) => -weight,
        )
    case 'twos':
      return () => {
        const usable = servers.filter(isUsable)
        const first = draw(usable, random(total(usable) + 1))
        const second = draw(usable, random(total(usable) + 1))
        if (first === undefined || second === undefined) return undefined
        return overhead(second) / second.weight < overhead(first) / first.weight ? second : first
      }
    case 'dh':
      return ({ destination }) => servers[hash32(foldAddress(destination), 8) % servers.length]
    case 'sh':
      return ({ client }) => {
        const slots = servers.flatMap((server) => Array<Server>(Math.max(1, server.weight)).fill(server))
        return slots[hash32(foldAddress(client), 8) % slots.length]
      }
    case 'mh':
      return ({ client }) => {
        const score = ({ ip, port }: Server): number =>
          maglevHash1((foldAddress(client) ^ (foldAddress(ip) + port)) >>> 0)
        return least(servers, score)
      }
    case 'lblc': {
      const cache = new Map<string, Server>()
      return ({ destination }) => {
        const known = cache.get(destination)
        if (known !== undefined && known.weight > 0 && !crowded(known, servers)) return known
        const chosen = wlc(servers)
        if (chosen !== undefined) cache.set(destination, chosen)
        return chosen
      }
    }
    case 'lblcr': {
      const cache = new Map<string, readonly Server[]>()
      return ({ destination }) => {
        const set = cache.get(destination) ?? []
        const best = wlc(set)
        if (best !== undefined && !crowded(best, servers)) return best
        const chosen = wlc(servers)
        if (chosen !== undefined) cache.set(destination, [chosen, ...set.filter((server) => server !== chosen)])
        return chosen
      }
    }
    default:
      return assertNever(name, 'scheduler')
  }
}
