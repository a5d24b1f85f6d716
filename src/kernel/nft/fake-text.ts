import { KernelError } from '../netlink/error.ts'
import { familyNumber, type TableFamily } from './constants.ts'
import { chainStatements, commentIn, parseSet, splitBlock, splitStatements, unknownSyntax } from './fake-grammar.ts'
import {
  type FakeChain,
  type FakeSet,
  type FakeState,
  type FakeTable,
  isSetInUse,
  referencesTo,
  tableKey,
} from './fake-state.ts'

/**
 * The part of nft's grammar that describes structure: tables, chains, rules (kept as text, for what they refer to) and
 * declarations of sets and maps. Anything else, elements among them, throws `unsupported` rather than pretend.
 */
export const runFakeScript = (state: FakeState, script: string): void => {
  state.begin()
  try {
    for (const statement of splitStatements(script)) runStatement(state, statement)
  } catch (error) {
    state.rollBack()
    throw error
  }
  state.commit()
}

const op = 'nft -f -'
const notFound = (what: string): KernelError => new KernelError({ code: 'notFound', op, errno: 2, detail: what })
const busy = (what: string): KernelError => new KernelError({ code: 'busy', op, errno: 16, detail: what })

const runStatement = (state: FakeState, statement: string): void => {
  if (statement === 'flush ruleset') {
    for (const key of [...state.tables.keys()]) state.remove(state.tables, key)
    return
  }
  const { words, body } = splitBlock(statement)
  const [verb = '', ...rest] = words
  switch (verb) {
    case 'table':
      addTable(state, words.slice(1), body ?? '')
      return
    case 'add':
    case 'create':
      add(state, rest, body, statement)
      return
    case 'delete':
    case 'destroy':
      remove(state, rest, statement, verb === 'destroy')
      return
    case 'flush':
      flush(state, rest, statement)
      return
    default:
      throw unknownSyntax(statement)
  }
}

const familyOf = (word: string | undefined): TableFamily => {
  if (word !== undefined && word in familyNumber) return word as TableFamily
  throw unknownSyntax(`family ${word}`)
}

const addTable = (state: FakeState, [family, name = '']: readonly string[], body: string): void => {
  const key = tableKey(familyOf(family), name)
  const known = state.tables.get(key)
  const inner = splitStatements(body)
  const table: FakeTable = known ?? {
    family: familyOf(family),
    name,
    comment: commentIn(inner),
    handle: state.nextHandle(),
    chains: new Map(),
    sets: new Map(),
  }
  if (known === undefined) state.put(state.tables, key, table)
  const declarations = inner.map(splitBlock)
  // Chains before rules: a rule may refer to a chain that stands further down.
  for (const { words, body: content } of declarations) {
    if (words[0] === 'chain') addChain(state, table, words[1] ?? '', content ?? '')
    else if (words[0] === 'set' || words[0] === 'map') addSet(state, table, words[0], words[1] ?? '', content ?? '')
    else if (words[0] !== 'comment' && words[0] !== 'flags') throw unknownSyntax(words.join(' '))
  }
  for (const { words, body: content } of declarations) {
    if (words[0] !== 'chain') continue
    for (const rule of chainStatements(content ?? '').rules) addRule(state, table, words[1] ?? '', rule)
  }
}

const add = (state: FakeState, words: readonly string[], body: string | undefined, statement: string): void => {
  const [what, family, tableName = '', name = ''] = words
  if (what === 'table') {
    addTable(state, [family ?? '', tableName], body ?? '')
    return
  }
  const table = tableOf(state, family, tableName)
  switch (what) {
    case 'chain':
      addChain(state, table, name, body ?? '')
      return
    case 'set':
    case 'map':
      addSet(state, table, what, name, body ?? '')
      return
    case 'rule':
      addRule(state, table, name, statement.split(' ').slice(5).join(' '))
      return
    default:
      throw unknownSyntax(statement)
  }
}

const tableOf = (state: FakeState, family: string | undefined, name: string): FakeTable => {
  const table = state.tables.get(tableKey(familyOf(family), name))
  if (table === undefined) throw notFound(`table ${family} ${name}`)
  return table
}

const chainOf = (table: FakeTable, name: string): FakeChain => {
  const chain = table.chains.get(name)
  if (chain === undefined) throw notFound(`chain ${name}`)
  return chain
}

const remove = (state: FakeState, words: readonly string[], statement: string, lenient: boolean): void => {
  const [what, family, tableName = '', name = ''] = words
  const key = tableKey(familyOf(family), tableName)
  const table = state.tables.get(key)
  if (table === undefined) {
    if (lenient) return
    throw notFound(`table ${family} ${tableName}`)
  }
  if (what === 'table') {
    state.remove(state.tables, key)
    return
  }
  if (what === 'chain') {
    if (!table.chains.has(name) && lenient) return
    chainOf(table, name)
    if (referencesTo(table, name, false) > 0) throw busy(`chain ${name}`)
    state.remove(table.chains, name)
    return
  }
  if (what !== 'set' && what !== 'map') throw unknownSyntax(statement)
  if (!table.sets.has(name) && lenient) return
  setOf(table, name)
  if (isSetInUse(table, name)) throw busy(`${what} ${name}`)
  state.remove(table.sets, name)
}

const setOf = (table: FakeTable, name: string): FakeSet => {
  const set = table.sets.get(name)
  if (set === undefined) throw notFound(`set ${name}`)
  return set
}

const flush = (state: FakeState, words: readonly string[], statement: string): void => {
  const [what, family, tableName = '', name = ''] = words
  const table = tableOf(state, family, tableName)
  if (what === 'table') for (const { rules } of table.chains.values()) state.clear(rules)
  else if (what === 'chain') state.clear(chainOf(table, name).rules)
  else if (what === 'set' || what === 'map') {
    const { elements } = setOf(table, name)
    for (const id of [...elements.keys()]) state.remove(elements, id)
  } else throw unknownSyntax(statement)
}

const addChain = (state: FakeState, table: FakeTable, name: string, body: string): void => {
  if (table.chains.has(name)) {
    state.touch()
    return
  }
  const { base, comment } = chainStatements(body)
  state.put(table.chains, name, { name, comment, handle: state.nextHandle(), base, rules: [] })
}

const ruleComment = / comment "([^"]*)"$/

const addRule = (state: FakeState, table: FakeTable, chain: string, text: string): void => {
  const { rules } = chainOf(table, chain)
  const chains = [...text.matchAll(/\b(?:jump|goto) ([\w.-]+)/g)].map(([, name = '']) => name)
  const sets = [...text.matchAll(/@([A-Za-z][\w.-]*)/g)]
    .map(([, name = '']) => name)
    // @nh, @th and @ll are raw payload.
    .filter((name) => !/^(?:nh|th|ll|ih)$/.test(name))
  for (const name of chains) chainOf(table, name)
  for (const name of sets) setOf(table, name)
  const [, comment] = ruleComment.exec(text) ?? []
  const expressions = new TextEncoder().encode(text)
  state.append(rules, { handle: state.nextHandle(), comment, expressions, chains, sets })
}

const addSet = (state: FakeState, table: FakeTable, kind: 'set' | 'map', name: string, body: string): void => {
  const declared = parseSet(kind, body)
  const existing = table.sets.get(name)
  if (existing === undefined) {
    state.put(table.sets, name, { name, handle: state.nextHandle(), elements: new Map(), ...declared })
    return
  }
  if (existing.flags !== declared.flags || existing.keyLength !== declared.keyLength)
    throw new KernelError({ code: 'exists', op, errno: 17, detail: `${kind} ${name}` })
}
