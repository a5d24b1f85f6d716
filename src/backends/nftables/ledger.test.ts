import { describe, expect, it } from 'vitest'
import { ip } from '../../../test/property/track-objects.ts'
import { recorder, recorderName } from './class.ts'
import type { Element } from './element.ts'
import { isShared, Ledger, LedgerDelta } from './ledger.ts'

const clusterIP: Element = { set: 'cluster-ips', key: [ip('10.96.0.1')], value: undefined, comment: undefined }

const ledgerWith = (uses: number): Ledger => {
  const ledger = new Ledger()
  const delta = new LedgerDelta()
  for (let i = 0; i < uses; i++) {
    delta.element(clusterIP, 1)
    delta.chain('a', { kind: 'record', seconds: 1 }, 1)
  }
  ledger.absorb(delta)
  return ledger
}

describe('the ledger', () => {
  it('counts users, and forgets what has none', () => {
    const ledger = ledgerWith(2)
    expect([ledger.uses(clusterIP), ledger.chainUses('a'), ledger.sharedCount]).toEqual([2, 2, 1])
    const one = new LedgerDelta()
    one.element(clusterIP, -1)
    one.chain('a', { kind: 'record', seconds: 1 }, -1)
    ledger.absorb(one)
    expect([ledger.uses(clusterIP), ledger.chainUses('a')]).toEqual([1, 1])
    ledger.absorb(one)
    expect([ledger.uses(clusterIP), ledger.chainUses('a'), ledger.sharedCount]).toEqual([0, 0, 0])
    expect([...ledger.usedChains()]).toEqual([])
  })

  it('is not moved by what cancels out, nor by a delta that is thrown away', () => {
    const ledger = ledgerWith(1)
    const delta = new LedgerDelta()
    delta.element(clusterIP, -1)
    delta.element(clusterIP, 1)
    delta.chain('b', recorder, 1)
    delta.chain('b', recorder, -1)
    expect([ledger.uses(clusterIP), ledger.chainUses('b')]).toEqual([1, 0])
    ledger.absorb(delta)
    expect([ledger.uses(clusterIP), ledger.chainUses('b')]).toEqual([1, 0])
    expect(ledger.unusedChains(), 'a chain that nobody asked for in the end was never made').toEqual([])
  })

  it('remembers chains that are there and have no user, until they are tidied away', () => {
    const ledger = ledgerWith(1)
    ledger.noteChain('old')
    expect(ledger.unusedChains()).toEqual(['old'])
    const delta = new LedgerDelta()
    delta.chain('a', { kind: 'record', seconds: 1 }, -1)
    delta.chain(recorderName, recorder, 1)
    ledger.absorb(delta)
    expect([...ledger.unusedChains()].sort()).toEqual(['a', 'old'])
    ledger.forgetChain('a')
    ledger.forgetChain('old')
    expect(ledger.unusedChains()).toEqual([])
    expect([...ledger.usedChains()].map(([name]) => name)).toEqual([recorderName])
  })

  it('counts only what several services may ask for', () => {
    expect(isShared(clusterIP)).toBe(true)
    expect(isShared({ ...clusterIP, set: 'hairpin-connections' })).toBe(true)
    expect(isShared({ ...clusterIP, set: 'services' })).toBe(false)
  })
})
