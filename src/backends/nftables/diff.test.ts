import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffElements, type ElementDiff } from './diff.ts'
import { type Element, elementContent, elementKey } from './element.ts'

const element = (slot: number, value: number): Element => ({
  set: 'nodeport-endpoints',
  key: ['TCP', 30_000, slot],
  value: ['10.0.0.1' as never, value],
  comment: undefined,
})

/** Lists as layouts give them: no key twice, in an order that both sides mostly share. */
const anyList = fc
  .uniqueArray(fc.record({ slot: fc.nat(12), value: fc.nat(2) }), { selector: ({ slot }) => slot, maxLength: 10 })
  .chain((list) => {
    const sorted = [...list].sort((a, b) => a.slot - b.slot)
    return fc.constantFrom(list, sorted, sorted)
  })
  .map((list) => list.map(({ slot, value }) => element(slot, value)))

const diffOf = (before: readonly Element[], after: readonly Element[]): ElementDiff => {
  const diff: ElementDiff = { removed: [], added: [] }
  diffElements(before, after, diff)
  return diff
}

const byKey = (list: readonly Element[]): ReadonlyMap<string, string> =>
  new Map(list.map((each) => [elementKey(each), elementContent(each)] as const).sort(([a], [b]) => (a < b ? -1 : 1)))

/** As the kernel does it: deletes what is there, then adds what is not. */
const applied = (before: readonly Element[], { removed, added }: ElementDiff): ReadonlyMap<string, string> => {
  const there = new Map(byKey(before))
  for (const each of removed) expect(there.delete(elementKey(each)), 'what is deleted is there').toBe(true)
  for (const each of added) {
    expect(there.has(elementKey(each)), 'what is added is not').toBe(false)
    there.set(elementKey(each), elementContent(each))
  }
  return new Map([...there].sort(([a], [b]) => (a < b ? -1 : 1)))
}

describe('a difference of elements', () => {
  it('turns one list into the other, and touches nothing that is equal', () => {
    let equal = 0
    fc.assert(
      fc.property(anyList, anyList, (before, after) => {
        const diff = diffOf(before, after)
        expect(applied(before, diff)).toEqual(byKey(after))
        const old = byKey(before)
        for (const each of after) {
          if (old.get(elementKey(each)) !== elementContent(each)) continue
          equal++
          expect(diff.removed.concat(diff.added).map(elementKey)).not.toContain(elementKey(each))
        }
      }),
      { numRuns: 2000, seed: 1 },
    )
    expect(equal).toBeGreaterThan(1000)
  })

  it('of a value or a comment alone is one deletion and one addition', () => {
    const [a, b, c] = [element(0, 1), element(1, 1), element(2, 1)]
    expect(diffOf([a, b, c], [a, element(1, 2), c])).toEqual({ removed: [b], added: [element(1, 2)] })
    const named = { ...b, comment: 'x' }
    expect(diffOf([a, b, c], [a, named, c])).toEqual({ removed: [b], added: [named] })
    const verdict = (chain: string): Element => ({ ...a, set: 'nodeports', value: { kind: 'goto', chain } })
    expect(diffOf([verdict('x')], [verdict('x')])).toEqual({ removed: [], added: [] })
    expect(diffOf([verdict('x')], [verdict('y')]).added).toEqual([verdict('y')])
    const drop: Element = { ...a, set: 'nodeports', value: { kind: 'drop' } }
    expect(diffOf([verdict('x')], [drop])).toEqual({ removed: [verdict('x')], added: [drop] })
  })

  it('adds to what is there already', () => {
    const diff: ElementDiff = { removed: [element(7, 1)], added: [] }
    diffElements([], [element(0, 1)], diff)
    expect(diff).toEqual({ removed: [element(7, 1)], added: [element(0, 1)] })
  })
})
