import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type IP, parseIP } from '../model/ip.ts'
import { type Port, parsePort } from '../model/port.ts'
import { foldAddress, maglevHash1, maglevHash2 } from './hash.ts'
import { type MaglevServer, maglevSizeFor, maglevSizes, maglevTable } from './mh-table.ts'

interface Golden {
  readonly hashVectors: readonly {
    readonly addr: string
    readonly fold: number
    readonly mhHash1: number
    readonly mhHash2: number
  }[]
  readonly mhTables: readonly {
    readonly servers: readonly {
      readonly id: string
      readonly weight: number
      readonly address: string
      readonly port: number
    }[]
    readonly tableSize: number
    readonly perServer: readonly {
      readonly id: string
      readonly offset: number
      readonly skip: number
      readonly entries: number
    }[]
    readonly first40: readonly string[]
    readonly lookups: readonly { readonly client: string; readonly index: number; readonly id: string }[]
  }[]
}

const golden: Golden = JSON.parse(
  readFileSync(new URL('../../test/golden/lvs/schedulers.json', import.meta.url), 'utf8'),
)

const ip = (text: string): IP => {
  const parsed = parseIP(text)
  if (parsed === undefined) throw new Error(`not an address: ${text}`)
  return parsed
}
const port = (value: number): Port => {
  const parsed = parsePort(value)
  if (parsed === undefined) throw new Error(`not a port: ${value}`)
  return parsed
}
const server = (address: string, weight: number, number = 80): MaglevServer => ({
  ip: ip(address),
  port: port(number),
  weight,
})
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe('the hash of ip_vs_mh', () => {
  it.each(golden.hashVectors)('folds and hashes $addr as the kernel does', ({ addr, fold, mhHash1, mhHash2 }) => {
    expect(foldAddress(ip(addr))).toBe(fold)
    expect(maglevHash1(fold)).toBe(mhHash1)
    expect(maglevHash2(fold)).toBe(mhHash2)
  })
})

describe('maglevTable', () => {
  it.each(golden.mhTables)('fills $tableSize slots for $perServer as the kernel does', (vector) => {
    const servers = vector.servers.map(({ address, weight, port: number }) => server(address, weight, number))
    const table = maglevTable(servers, vector.tableSize)
    const names = [...table].map((index) => vector.servers[index]?.id)
    expect(table.length).toBe(vector.tableSize)
    expect(names.slice(0, 40)).toEqual(vector.first40)
    vector.perServer.forEach(({ id, entries, offset, skip }, i) => {
      const { ip: address, port: number } = servers[i] ?? server('0.0.0.0', 0)
      const key = (number + foldAddress(address)) >>> 0
      expect(maglevHash1(key) % vector.tableSize, `offset of ${id}`).toBe(offset)
      expect((maglevHash2(key) % (vector.tableSize - 1)) + 1, `skip of ${id}`).toBe(skip)
      expect(names.filter((name) => name === id).length, `slots of ${id}`).toBe(entries)
    })
    for (const { client, index, id } of vector.lookups) {
      expect(maglevHash1(foldAddress(ip(client))) % vector.tableSize).toBe(index)
      expect(names[index]).toBe(id)
    }
  })

  it('coarsens large weights: 3000, 1000 and 7 take 46, 15 and 1 slots a round in a table of 4093', () => {
    const table = maglevTable([server('10.1.0.1', 3000), server('10.1.0.2', 1000), server('10.1.0.3', 7)], 4093)
    const slots = [0, 0, 0]
    for (const index of table) slots[index] = (slots[index] ?? 0) + 1
    // 66 whole rounds of 62 slots, and one slot of the next.
    expect(slots).toEqual([46 * 66 + 1, 15 * 66, 66])
  })

  it('gives no slot to weight 0 and no table when that is everybody', () => {
    const table = maglevTable([server('10.1.0.1', 0), server('10.1.0.2', 5), server('10.1.0.3', 0)], 251)
    expect(new Set(table)).toEqual(new Set([1]))
    expect(maglevTable([server('10.1.0.1', 0)], 251).length).toBe(0)
    expect(maglevTable([], 251).length).toBe(0)
  })

  it.each([1, 2, 3, 4, 6, 64, 100, 360, 1024])('fills a table of %i slots evenly, prime or not', (size) => {
    const servers = Array.from({ length: Math.min(size, 7) }, (_, i) => server(`fd00::${i + 1}`, 1))
    const slots = new Map<number, number>()
    for (const index of maglevTable(servers, size)) slots.set(index, (slots.get(index) ?? 0) + 1)
    expect([...slots.values()].reduce((a, b) => a + b)).toBe(size)
    expect(slots.size).toBe(servers.length)
    expect(Math.max(...slots.values()) - Math.min(...slots.values())).toBeLessThanOrEqual(1)
  })

  it('refuses what cannot be a table', () => {
    expect(() => maglevTable([server('10.0.0.1', 1), server('10.0.0.2', 1)], 1)).toThrow(RangeError)
    expect(() => maglevTable([server('10.0.0.1', 1)], 0)).toThrow(RangeError)
    expect(() => maglevTable([server('10.0.0.1', 1)], 2.5)).toThrow(RangeError)
  })
})

/** The share of the slots of other servers that change hands when one of `count` goes: mean and worst of the trials. */
const moved = (count: number, size: number, trials: number): { readonly mean: number; readonly worst: number } => {
  const shares: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    const next = random(1000 * count + trial)
    const servers = Array.from({ length: count }, () => server(`10.${trial}.${next(250)}.${next(250)}`, 1, 8080))
    const gone = next(count)
    const rest = servers.filter((_, i) => i !== gone)
    const before = maglevTable(servers, size)
    const after = maglevTable(rest, size)
    let others = 0
    let changed = 0
    before.forEach((owner, slot) => {
      if (owner === gone) return
      others++
      if (servers[owner] !== rest[after[slot] ?? 0]) changed++
    })
    shares.push(changed / others)
  }
  return { mean: shares.reduce((a, b) => a + b) / trials, worst: Math.max(...shares) }
}

describe('when one server goes', () => {
  it('moves nothing of the only other one', () => {
    for (const size of [4093, 16381, 65521]) expect(moved(2, size, 4).worst).toBe(0)
  })

  it.each([3, 4, 5, 8, 12, 16, 20, 32, 48, 64])(
    'moves about 1 %% of the flows of the other servers, of %i',
    (count) => {
      const { mean, worst } = moved(count, maglevSizeFor(count), 8)
      expect(mean).toBeLessThan(0.0125)
      expect(worst).toBeLessThan(0.025)
    },
  )

  it('moves less the larger the table', () => {
    const [small, middle, large] = [4093, 16381, 65521].map((size) => moved(32, size, 4).mean)
    expect(middle).toBeLessThan((small ?? 0) * 0.6)
    expect(large).toBeLessThan((middle ?? 0) * 0.6)
  })

  it('proposes sizes the kernel knows, never a smaller one for more servers', () => {
    let last = 0
    for (let count = 1; count < 300; count++) {
      const size = maglevSizeFor(count)
      expect(maglevSizes).toContain(size)
      expect(size).toBeGreaterThanOrEqual(last)
      last = size
    }
  })
})
