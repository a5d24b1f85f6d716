import { describe, expect, it } from 'vitest'
import { allClasses, namesOf } from '../../../test/kernel/sync-classes.ts'
import { type ChainClass, className, type PickClass, pickFor, slotTableFor } from './class.ts'
import { nftSchedulers } from './slots.ts'

const pick: PickClass = {
  kind: 'pick',
  frontend: 'address',
  scheduler: 'random',
  pick: { kind: 'random' },
  table: { kind: 'sparse', capacity: 16 },
  range: 'all',
  masquerade: false,
  sticky: false,
}

describe('names of class chains', () => {
  it('are different for different classes', () => {
    expect(allClasses.length).toBeGreaterThan(500)
    expect(new Set(namesOf(allClasses)).size).toBe(allClasses.length)
  })

  it('are names in nft’s grammar, and short enough', () => {
    const longest = `ns/${'n'.repeat(63)}/${'s'.repeat(63)}/${'p'.repeat(15)}/sctp`
    const long: ChainClass = { ...pick, scheduler: 'wrr', pick: { kind: 'next', owner: longest }, sticky: true }
    for (const name of [...namesOf(allClasses), className(long)]) {
      expect(name).toMatch(/^[A-Za-z][A-Za-z0-9/\\_.-]*$/)
      expect(name.length).toBeLessThan(256)
    }
  })

  it('say what they do', () => {
    expect(className(pick)).toBe('random-upto16')
    expect(className({ ...pick, masquerade: true, sticky: true })).toBe('random-upto16-masq-sticky')
    expect(className({ ...pick, frontend: 'nodeport', range: 'local' })).toBe('nodeport-random-upto16-local')
    const source: PickClass = { ...pick, scheduler: 'sh', pick: { kind: 'source', withPort: true } }
    expect(className(source)).toBe('shport-upto16')
    const turns: PickClass = {
      ...pick,
      scheduler: 'rr',
      pick: { kind: 'next', owner: 'ns/web/tcp' },
      table: { kind: 'full', size: 3 },
    }
    expect(className(turns)).toBe('rr-3-ns/web/tcp')
    const cluster: PickClass = { ...pick, range: 'cluster' }
    const local: PickClass = { ...pick, range: 'local', table: { kind: 'sparse', capacity: 4 } }
    expect(className({ kind: 'split', cluster, local })).toBe('split-random-upto16-cluster-upto4')
    expect(className({ kind: 'split', cluster, local: undefined })).toBe('split-random-upto16-cluster')
    expect(className({ kind: 'record', seconds: 10_800 })).toBe('record-10800s')
  })
})

describe('sizes of class chains', () => {
  it.each(['random', 'sh', 'dh'] as const)(
    '%s: a power of four, of which a quarter is filled at least',
    (scheduler) => {
      for (let count = 1; count <= 16_384; count++) {
        const table = slotTableFor(scheduler, count)
        if (table.kind !== 'sparse') throw new Error('sparse')
        expect(Math.log2(table.capacity) % 2).toBe(0)
        expect(table.capacity).toBeGreaterThanOrEqual(Math.max(4, count))
        // All of the first quarter: the last try goes there.
        expect(table.capacity / 4).toBeLessThanOrEqual(count)
      }
    },
  )

  it.each(['rr', 'wrr', 'mh'] as const)('%s: exact', (scheduler) => {
    expect(slotTableFor(scheduler, 7)).toEqual({ kind: 'full', size: 7 })
  })

  it('only counters belong to one service port', () => {
    const owned = nftSchedulers.filter(
      (scheduler) => pickFor(scheduler, { scheduler, flags: [], weights: undefined }, 'me').kind === 'next',
    )
    expect(owned).toEqual(['rr', 'wrr'])
  })
})
