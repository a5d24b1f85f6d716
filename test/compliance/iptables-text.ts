import { type RuleText, ruleWords } from '../../src/kernel/iptables/rule-text.ts'
import type { Saved } from '../../src/kernel/iptables/save-parser.ts'
import { type TableName, tableNames } from '../../src/kernel/iptables/table-name.ts'

/** The hooks of each table: net/ipv4/netfilter/iptable_*.c. */
const builtInChains: Readonly<Record<TableName, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
}

/** Rules of a chain as words; built-in chains accept what is left. */
export type TextTable = Map<string, (readonly string[])[]>
/** Only tables that exist. */
export type TextTables = ReadonlyMap<TableName, TextTable>

/**
 * Carries out input for `iptables-restore --noflush` on a node without rules. Knows what scripts and this project write:
 * chains, `-A`, `-I`, `-D`, `-F`, `-N`, `-X`. Throws for anything else, as for a rule in a chain that is not there.
 */
export const readRestore = (text: string): TextTables => {
  const tables = new Map<TableName, TextTable>()
  let open: TextTable | undefined
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || line.startsWith('#')) continue
    const name = tableNames.find((candidate) => line === `*${candidate}`)
    if (name !== undefined && open === undefined) {
      open = tables.get(name) ?? new Map(builtInChains[name].map((chain) => [chain, []]))
      tables.set(name, open)
    } else if (open === undefined) throw new TypeError(`outside a table: ${line}`)
    else if (line === 'COMMIT') open = undefined
    else if (line.startsWith(':')) declare(open, line)
    else execute(open, ruleWords(line.replace(/^\[\d+:\d+\] /, '') as RuleText))
  }
  if (open !== undefined) throw new TypeError('no COMMIT')
  return tables
}

/** What is in the kernel, or in a fake of it. */
export const readSaved = (saved: Saved): TextTables =>
  new Map(
    saved.tables.map((table): readonly [TableName, TextTable] => {
      const chains: TextTable = new Map([...table.chains.keys()].map((chain) => [chain, []]))
      for (const { chain, rule } of table.rules) rulesOf(chains, chain).push(ruleWords(rule))
      return [table.name, chains]
    }),
  )

const declare = (table: TextTable, line: string): void => {
  const [, chain = '', policy = ''] = /^:(\S+) (\S+)/.exec(line) ?? []
  if (policy === '-') table.set(chain, [])
  else if (policy !== 'ACCEPT' || !table.has(chain)) throw new TypeError(`the tracer knows no such policy: ${line}`)
}

const rulesOf = (table: TextTable, chain: string): (readonly string[])[] => {
  const rules = table.get(chain)
  if (rules === undefined) throw new TypeError(`no chain ${chain}`)
  return rules
}

const execute = (table: TextTable, [command = '', chain = '', ...rule]: readonly string[]): void => {
  switch (command) {
    case '-A':
      rulesOf(table, chain).push(rule)
      return
    case '-I': {
      const [first = ''] = rule
      const isPlace = /^\d+$/.test(first)
      rulesOf(table, chain).splice(isPlace ? Number(first) - 1 : 0, 0, isPlace ? rule.slice(1) : rule)
      return
    }
    case '-D': {
      const rules = rulesOf(table, chain)
      const at = rules.findIndex((candidate) => candidate.join(' ') === rule.join(' '))
      if (at < 0) throw new TypeError(`no such rule in ${chain}: ${rule.join(' ')}`)
      rules.splice(at, 1)
      return
    }
    case '-F':
      rulesOf(table, chain).splice(0)
      return
    case '-N':
      table.set(chain, [])
      return
    case '-X':
      if (rulesOf(table, chain).length > 0) throw new TypeError(`${chain} has rules`)
      table.delete(chain)
      return
    default:
      throw new TypeError(`the tracer does not know: ${command} ${chain}`)
  }
}
