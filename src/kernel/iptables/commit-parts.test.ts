import { describe, expect, it } from 'vitest'
import { inParts } from './commit-parts.ts'
import type { Statement, TableChange } from './restore-builder.ts'
import { ruleTarget, ruleText } from './rule-text.ts'

const chain = (name: string): Statement => ({ kind: 'chain', chain: name })
const jump = (from: string, to: string): Statement => ({ kind: 'append', chain: from, rule: ruleText('-j', to) })

/** ROOT leads to A0 … An, each of these to its B. */
const wide = (count: number): TableChange => {
  const numbers = Array.from({ length: count }, (_, i) => i)
  const statements: Statement[] = [chain('ROOT')]
  for (const i of numbers) statements.push(chain(`A${i}`), chain(`B${i}`))
  for (const i of numbers) statements.push(jump('ROOT', `A${i}`), jump(`A${i}`, `B${i}`), jump(`B${i}`, 'RETURN'))
  statements.push({ kind: 'insert', chain: 'PREROUTING', rule: ruleText('-j', 'ROOT') })
  statements.push({ kind: 'flush', chain: 'OLD' }, { kind: 'deleteChain', chain: 'OLD' })
  return { table: 'nat', statements }
}

describe('inParts', () => {
  it('leaves alone what is small', () => {
    const change = wide(3)
    expect(inParts(change, 7)).toEqual([change])
  })

  it('commits every statement once, chains whole and behind those that they lead to', () => {
    const change = wide(40)
    const parts = inParts(change, 10)
    expect(parts.length).toBe(10)
    const order = (statements: readonly Statement[]): string[] => statements.map((one) => JSON.stringify(one)).sort()
    expect(order(parts.flatMap(({ statements }) => statements))).toEqual(order(change.statements))
    const there = new Set(['RETURN', 'PREROUTING', 'OLD'])
    for (const { table, statements } of parts) {
      expect(table).toBe('nat')
      const made = new Set(statements.flatMap((one) => (one.kind === 'chain' ? [one.chain] : [])))
      expect(made.size).toBeLessThanOrEqual(10)
      const both = new Set([...there, ...made])
      for (const one of statements) {
        if (one.kind !== 'append') continue
        expect(made, 'its rules come with it').toContain(one.chain)
        expect(both).toContain(ruleTarget(one.rule)?.name)
      }
      for (const name of made) there.add(name)
    }
    expect(parts.at(-1)?.statements.map(({ kind }) => kind)).toEqual(['insert', 'flush', 'deleteChain'])
  })

  it('keeps the order of rules within a chain', () => {
    const [root] = inParts(wide(40), 10)
      .flatMap(({ statements }) => [
        statements.flatMap((one) => (one.kind === 'append' && one.chain === 'ROOT' ? [one.rule] : [])),
      ])
      .filter((rules) => rules.length > 0)
    expect(root).toEqual(Array.from({ length: 40 }, (_, i) => ruleText('-j', `A${i}`)))
  })
})
