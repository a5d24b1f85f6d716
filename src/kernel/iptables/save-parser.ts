import { type RuleTarget, type RuleText, ruleTarget } from './rule-text.ts'
import { type TableName, tableNames } from './table-name.ts'

export interface Counters {
  readonly packets: bigint
  readonly bytes: bigint
}

export interface SavedChain {
  readonly name: string
  /** ACCEPT or DROP of a built-in chain; undefined for a user-defined one. */
  readonly policy: string | undefined
  /** Zero unless the text was saved with counters (`-c`); user-defined chains have none of their own. */
  readonly counters: Counters
}

export interface SavedRule {
  readonly chain: string
  readonly rule: RuleText
  readonly target: RuleTarget | undefined
  /** Undefined when the text was saved without counters. */
  readonly counters: Counters | undefined
}

/** One table as iptables-save printed it. Rules keep their order. */
export interface SavedTable {
  readonly name: TableName
  readonly chains: ReadonlyMap<string, SavedChain>
  readonly rules: readonly SavedRule[]
}

export interface Saved {
  readonly tables: readonly SavedTable[]
  /** Tables that iptables-nft refuses to show, because `nft` put things into them that iptables has no words for. */
  readonly incompatible: readonly string[]
}

/** The text is not what iptables-save writes. */
export class SaveSyntaxError extends Error {
  override readonly name = 'SaveSyntaxError'
  /** 1-based. */
  readonly line: number

  constructor(line: number, text: string) {
    super(`iptables-save line ${line} cannot be read: ${text}`)
    this.line = line
  }
}

const chainLine = /^:(\S+) (\S+)(?: \[(\d+):(\d+)\])?$/
const ruleLine = /^(?:\[(\d+):(\d+)\] )?-A (\S+)(?: (.*))?$/
const incompatibleLine = /^# Table `(.+)' is incompatible/

interface OpenTable {
  readonly name: TableName
  readonly chains: Map<string, SavedChain>
  readonly rules: SavedRule[]
}

/**
 * Parses the output of iptables-save, any variant, with or without `-c`. Throws {@link SaveSyntaxError}; text that ends
 * within a table is an error, for it was cut off.
 */
export const parseSave = (text: string): Saved => {
  const tables: SavedTable[] = []
  const incompatible: string[] = []
  let open: OpenTable | undefined
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line === '') continue
    if (line.startsWith('#')) {
      const table = incompatibleLine.exec(line)?.[1]
      if (table !== undefined) incompatible.push(table)
    } else if (open === undefined) {
      const name = tableNames.find((candidate) => line === `*${candidate}`)
      if (name === undefined) throw new SaveSyntaxError(number, line)
      open = { name, chains: new Map(), rules: [] }
    } else if (line === 'COMMIT') {
      tables.push(open)
      open = undefined
    } else if (!addLine(open, line)) throw new SaveSyntaxError(number, line)
  }
  if (open !== undefined) throw new SaveSyntaxError(number, 'no COMMIT')
  return { tables, incompatible }
}

const addLine = (table: OpenTable, line: string): boolean => {
  const chain = chainLine.exec(line)
  if (chain !== null) {
    const [, name = '', policy = '-', packets, bytes] = chain
    const counters = readCounters(packets, bytes) ?? zero
    table.chains.set(name, { name, policy: policy === '-' ? undefined : policy, counters })
    return true
  }
  const parts = ruleLine.exec(line)
  if (parts === null) return false
  const [, packets, bytes, name = '', text = ''] = parts
  const rule = text as RuleText
  table.rules.push({ chain: name, rule, target: ruleTarget(rule), counters: readCounters(packets, bytes) })
  return table.chains.has(name)
}

const zero: Counters = { packets: 0n, bytes: 0n }

const readCounters = (packets: string | undefined, bytes: string | undefined): Counters | undefined =>
  packets === undefined || bytes === undefined ? undefined : { packets: BigInt(packets), bytes: BigInt(bytes) }
