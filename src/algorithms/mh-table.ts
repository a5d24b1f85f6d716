import type { IP } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import { gcd } from './gcd.ts'
import { foldAddress, maglevHash1, maglevHash2 } from './hash.ts'

/** A real server as the Maglev hash sees it. Weight 0 owns no slot. */
export interface MaglevServer {
  readonly ip: IP
  readonly port: Port
  readonly weight: number
}

/** The sizes that ip_vs_mh can be built with (CONFIG_IP_VS_MH_TAB_INDEX 8 to 17), all prime; 4093 is its default. */
export const maglevSizes = [251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521, 131071] as const

/**
 * Slots for so many servers. LVS builds with 4093; these are its next sizes, so large that when one server goes, less
 * than 2 % of the others' flows move (docs/decisions/0003-maglev-size.md).
 */
export const maglevSizeFor = (servers: number): number => {
  if (servers <= 16) return 8191
  if (servers <= 64) return 16381
  return servers <= 160 ? 32749 : 65521
}

/**
 * The lookup table of LVS's mh scheduler (ip_vs_mh_populate): for each slot the index of its server. The kernel's own
 * table, slot for slot, for the sizes it knows; other sizes work the same way. Empty when no weight is positive.
 * Throws RangeError when there are more servers than slots: the kernel refuses that too (EINVAL).
 */
export const maglevTable = (servers: readonly MaglevServer[], size: number): Uint16Array => {
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`a Maglev table cannot have ${size} slots`)
  if (servers.length > Math.min(size, maxServers))
    throw new RangeError(`${servers.length} servers do not fit a Maglev table of ${size} slots`)
  const turns = maglevTurns(servers, size)
  if (!turns.some((turn) => turn > 0)) return new Uint16Array(0)

  const table = new Uint16Array(size)
  const taken = new Uint8Array(size)
  const position = new Int32Array(servers.length)
  const skip = new Int32Array(servers.length)
  servers.forEach(({ ip, port }, i) => {
    const key = (port + foldAddress(ip)) >>> 0
    position[i] = maglevHash1(key) % size
    skip[i] = strideOf(maglevHash2(key), size)
  })

  for (let filled = 0; ; ) {
    for (let server = 0; server < servers.length; server++) {
      let slot = position[server] ?? 0
      const stride = skip[server] ?? 1
      for (let turn = turns[server] ?? 0; turn > 0; turn--) {
        while (taken[slot] === 1) {
          slot += stride
          if (slot >= size) slot -= size
        }
        taken[slot] = 1
        table[slot] = server
        if (++filled === size) return table
      }
      position[server] = slot
    }
  }
}

/** Indexes are 16 bits wide. */
const maxServers = 0x10000

/** How many slots each server takes per round (ip_vs_mh_shift_weight and its caller). */
const maglevTurns = (servers: readonly MaglevServer[], size: number): readonly number[] => {
  let divisor = 0
  let heaviest = 0
  for (const { weight } of servers) {
    if (weight <= 0) continue
    divisor = gcd(weight, divisor)
    heaviest = Math.max(heaviest, weight)
  }
  if (divisor === 0) return servers.map(() => 0)
  // The kernel halves the index of its size, which is the size's length in bits: 12 for 4093.
  const shift = Math.max(0, bitLength(heaviest / divisor) - (bitLength(size) >> 1))
  return servers.map(({ weight }) => (weight <= 0 ? 0 : Math.max(1, (weight / divisor) >> shift)))
}

/** A stride that visits every slot. In a table of prime size the first try does, as in the kernel. */
const strideOf = (hash: number, size: number): number => {
  if (size === 1) return 1
  let stride = (hash % (size - 1)) + 1
  while (gcd(stride, size) !== 1) stride = (stride % (size - 1)) + 1
  return stride
}

const bitLength = (value: number): number => 32 - Math.clz32(value)
