import { describe, expect, it } from 'vitest'
import { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { Statement, TableChange } from '../../kernel/iptables/restore-builder.ts'
import { ruleText } from '../../kernel/iptables/rule-text.ts'
import { takingBack } from './take-back.ts'

const rule = (name: string) => ruleText('-j', name)
const statements: readonly Statement[] = [
  { kind: 'delete', chain: 'A', rule: rule('OLD') },
  { kind: 'append', chain: 'A', rule: rule('NEW') },
  { kind: 'insert', chain: 'B', rule: rule('FIRST') },
]
const filter: TableChange = { table: 'filter', statements }
const nat: TableChange = { table: 'nat', statements: [{ kind: 'chain', chain: 'C' }] }
const undone: readonly TableChange[] = [
  {
    table: 'filter',
    statements: [
      { kind: 'delete', chain: 'B', rule: rule('FIRST') },
      { kind: 'delete', chain: 'A', rule: rule('NEW') },
      { kind: 'append', chain: 'A', rule: rule('OLD') },
    ],
  },
]

const refusedAt = (line: number | undefined) => new IptablesError('rejected', 'iptables-restore', 'no', { line })

describe('what takes a refused restore back', () => {
  it.each([
    ['the first line', 1],
    ['a rule of the first table', 3],
    ['the commit of the first table', 5],
  ])('is nothing when %s is refused', (_, line) => {
    expect(takingBack([filter, nat], refusedAt(line))).toEqual([])
  })

  it.each([
    ['the second table', 6],
    ['a line of it', 7],
    ['its commit', 8],
  ])('is the opposite of the first table when %s is refused', (_, line) => {
    expect(takingBack([filter, nat], refusedAt(line))).toEqual(undone)
  })

  it('is nothing when there is one table', () => {
    expect(takingBack([nat], refusedAt(undefined))).toEqual([])
  })

  it('cannot be told when no line is named, or when a chain was written anew', () => {
    expect(takingBack([filter, nat], refusedAt(undefined))).toBeUndefined()
    expect(takingBack([nat, filter], refusedAt(5))).toBeUndefined()
  })
})
