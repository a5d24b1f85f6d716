import { assertNever } from '../../model/assert-never.ts'
import type { FakeRule, FakeTable } from './fake-table.ts'
import type { Variant } from './iptables.ts'
import type { Statement, TableChange } from './restore-builder.ts'
import type { TableName } from './table-name.ts'

/** Where a target can only be used in some tables (net/netfilter/xt_*.c, .table). */
const onlyIn: Readonly<Record<string, readonly TableName[]>> = {
  REJECT: ['filter'],
  ...{ DNAT: ['nat'], SNAT: ['nat'], MASQUERADE: ['nat'], REDIRECT: ['nat'] },
}
const extensions = new Set([
  ...Object.keys(onlyIn),
  ...[
    'ACCEPT',
    'DROP',
    'RETURN',
    'QUEUE',
    'CLASSIFY',
    'CONNMARK',
    'CT',
    'DSCP',
    'HL',
    'LOG',
    'MARK',
    'NFLOG',
    'NFQUEUE',
  ],
  ...['NOTRACK', 'SET', 'TCPMSS', 'TEE', 'TOS', 'TPROXY', 'TRACE', 'TTL'],
])
/** linux/netfilter/x_tables.h: XT_EXTENSION_MAXNAMELEN, less the NUL. */
const longestName = 28

export interface FakeCommit {
  readonly variant: Variant
  readonly change: TableChange
  /** Of `*table` in the input. */
  readonly firstLine: number
  /** Lines that the program does not understand. */
  readonly unreadable: (statement: Statement) => boolean
}

/**
 * Executes the statements on `table`, and returns what the program writes when they are refused. The legacy variant
 * goes line by line, and asks the kernel at last; the nft variant reads every line first, then executes them on its copy of
 * the tables, and asks the kernel at last, which says by itself whether a chain can be deleted.
 */
export const commitFake = (
  table: FakeTable,
  { variant, change, firstLine, unreadable }: FakeCommit,
): string | undefined => {
  const { statements } = change
  const commitLine = firstLine + statements.length + 1
  const words = variant === 'nft' ? nftWords(commitLine) : legacyWords(commitLine)
  const misread = (statement: Statement): boolean => unreadable(statement) || isMisread(change.table, statement)
  const pending: Pending[] = []
  if (variant === 'nft') {
    const at = statements.findIndex(misread)
    if (at >= 0) return words.misread(firstLine + 1 + at)
  }
  for (const [i, statement] of statements.entries()) {
    const line = firstLine + 1 + i
    if (misread(statement)) return words.misread(line)
    if (variant === 'nft' && (statement.kind === 'chain' || statement.kind === 'deleteChain'))
      for (const one of pending)
        if (one.rule !== undefined && table.chain(statement.chain)?.rules.includes(one.rule) === true)
          one.emptied = true
    const said = execute(table, change.table, statement)
    if (said === undefined) continue
    if (said.by === 'program') return words.refused(line, said)
    // libiptc looks after chains by itself.
    if (said.problem === 'chain' && variant === 'legacy') return words.refused(line, said)
    pending.push({ said: words.kernel(line, statement), rule: said.rule, chain: statement.chain, emptied: false })
  }
  // What goes again in the same commit never gets to the kernel, except that `:CHAIN` and -X of the nft variant leave
  // taking the rules away to it.
  const sent = ({ rule, chain, emptied }: Pending): boolean =>
    rule === undefined || emptied || table.chain(chain)?.rules.includes(rule) === true
  return pending.find(sent)?.said
}

/** What the kernel will have to say. */
interface Pending {
  readonly said: string
  readonly rule: FakeRule | undefined
  readonly chain: string
  emptied: boolean
}

/** In table nat this target is refused by its own parser. */
const isMisread = (table: TableName, statement: Statement): boolean => {
  if (statement.kind === 'chain') return statement.chain.length > longestName
  return 'rule' in statement && table === 'nat' && statement.rule.endsWith('-j DROP')
}

type Refused =
  | { readonly by: 'program'; readonly problem: 'noChain' | 'noRule' }
  | { readonly by: 'program'; readonly problem: 'noTarget'; readonly target: string }
  | { readonly by: 'kernel'; readonly problem: 'chain' | 'target'; readonly rule: FakeRule | undefined }

const noChain: Refused = { by: 'program', problem: 'noChain' }
const noRule: Refused = { by: 'program', problem: 'noRule' }

const execute = (table: FakeTable, name: TableName, statement: Statement): Refused | undefined => {
  const { chain } = statement
  const found = table.chain(chain)
  if (statement.kind === 'chain') {
    // Of a built-in chain this line sets nothing.
    if (found?.policy === undefined) table.declare(chain)
    return undefined
  }
  const rule = 'rule' in statement ? table.parse(statement.rule) : undefined
  const refused = rule === undefined ? undefined : checkTarget(table, name, rule)
  if (refused?.by === 'program') return refused
  if (found === undefined) return statement.kind === 'delete' ? noRule : noChain
  switch (statement.kind) {
    case 'policy':
      if (found.policy === undefined) return noChain
      table.setPolicy(chain, statement.policy, statement.counters)
      return undefined
    case 'append':
      if (rule !== undefined) table.replaceRules(chain, [...found.rules, rule])
      return refused
    case 'insert':
      if (rule !== undefined) table.replaceRules(chain, [rule, ...found.rules])
      return refused
    case 'delete': {
      const at = found.rules.findIndex((other) => other.rule === rule?.rule)
      if (at < 0) return noRule
      table.replaceRules(chain, found.rules.toSpliced(at, 1))
      return undefined
    }
    case 'flush':
      table.replaceRules(chain, [])
      return undefined
    case 'deleteChain': {
      if (found.policy !== undefined) return noChain
      const busy = found.rules.length > 0 || table.isUsed(chain)
      table.deleteChain(chain)
      return busy ? { by: 'kernel', problem: 'chain', rule: undefined } : undefined
    }
    default:
      return assertNever(statement, 'statement')
  }
}

const checkTarget = (table: FakeTable, name: TableName, rule: FakeRule): Refused | undefined => {
  const target = rule.target?.name
  if (target === undefined) return undefined
  const chain = table.chain(target)
  if (chain !== undefined) return chain.policy === undefined ? undefined : { by: 'kernel', problem: 'chain', rule }
  if (!extensions.has(target)) return { by: 'program', problem: 'noTarget', target }
  return onlyIn[target]?.includes(name) === false ? { by: 'kernel', problem: 'target', rule } : undefined
}

interface Words {
  misread(line: number): string
  refused(line: number, refused: Refused): string
  kernel(line: number, statement: Statement): string
}

const legacyWords = (commitLine: number): Words => ({
  misread: (line) => `iptables-restore v1.8.9 (legacy): Bad argument\nError occurred at line: ${line}\n`,
  refused: (line, refused) =>
    refused.problem === 'noTarget'
      ? `iptables-restore v1.8.9 (legacy): Couldn't load target \`${refused.target}':No such file or directory\n\nError occurred at line: ${line}\n`
      : `iptables-restore: line ${line} failed\n`,
  kernel: () => `iptables-restore: line ${commitLine} failed\n`,
})

const nftWords = (commitLine: number): Words => ({
  misread: (line) => `iptables-nft-restore v1.8.9 (nf_tables): Bad argument\nError occurred at line: ${line}\n`,
  refused: (line, refused) => {
    if (refused.problem === 'noTarget')
      return `iptables-nft-restore v1.8.9 (nf_tables): Chain '${refused.target}' does not exist\nError occurred at line: ${commitLine}\n`
    const reason =
      refused.problem === 'noChain'
        ? 'No chain/target/match by that name.'
        : 'Bad rule (does a matching rule exist in that chain?).'
    return `iptables-nft-restore: line ${line} failed: ${reason}\n`
  },
  kernel: (line, { kind, chain }) =>
    `iptables-nft-restore v1.8.9 (nf_tables): \nline ${line}: ${
      kind === 'deleteChain'
        ? `CHAIN_DEL failed (Device or resource busy): chain ${chain}`
        : `RULE_${kind === 'insert' ? 'INSERT' : 'APPEND'} failed (Invalid argument): rule in chain ${chain}`
    }\n`,
})
