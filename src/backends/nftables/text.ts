import { assertNever } from '../../model/assert-never.ts'
import { mergeCidrs } from '../../model/cidr.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { type Protocol, protocolWord } from '../../model/protocol.ts'
import type { ChainClass } from './class.ts'
import { classRules } from './class-rules.ts'
import { type Element, elementKey, type Part } from './element.ts'
import { hostElements, layOutService } from './layout.ts'
import { type Field, nftFamily, type SetName, schemaOf, setNames, tableName } from './schema.ts'
import { fixedChains, hookText, layoutMarker, setDeclaration } from './structure.ts'

const partText = (part: Part, field: Field): string => {
  switch (field) {
    case 'protocol':
      return protocolWord[part as Protocol]
    case 'address':
    case 'port':
    case 'slot':
    case 'network':
      return String(part)
    case 'boundary':
      return String(part).replace(/^\w+ /, '')
    default:
      return assertNever(field, 'field')
  }
}

const partsText = (parts: readonly Part[], fields: readonly Field[]): string =>
  parts.map((part, i) => partText(part, fields[i] ?? 'address')).join(' . ')

/** One element as `nft` writes it inside `elements = { … }`. */
export const elementText = ({ set, key, value, comment }: Element): string => {
  const schema = schemaOf(set)
  const head = `${partsText(key, schema.key)}${comment === undefined ? '' : ` comment "${comment}"`}`
  if (value === undefined) return head
  if ('kind' in value) return `${head} : ${value.kind === 'goto' ? `goto ${value.chain}` : 'drop'}`
  return `${head} : ${partsText(value, Array.isArray(schema.value) ? schema.value : [])}`
}

/**
 * The whole table as a script for `nft -f`: what a clean node would be given. It replaces the table if there is one.
 */
export const renderTable = (host: HostState, services: Iterable<ServiceState>): string => {
  const elements = new Map<SetName, Map<string, string>>(setNames.map((set) => [set, new Map()]))
  const chains = new Map<string, ChainClass>()
  const put = (element: Element): void => {
    elements.get(element.set)?.set(elementKey(element), elementText(element))
  }
  for (const element of hostElements(host)) if (element.set !== 'service-cidrs') put(element)
  for (const cidr of mergeCidrs(host.serviceCidrs)) elements.get('service-cidrs')?.set(cidr, cidr)
  for (const state of services) {
    layOutService(state, { element: put, chain: (name, chain) => void chains.set(name, chain) })
  }
  const table = `${nftFamily(host.family)} ${tableName}`
  const lines = [
    `table ${table}`,
    `delete table ${table}`,
    `table ${table} {`,
    `\tcomment "weir: services of this node"`,
  ]
  for (const set of setNames) lines.push(...setLines(set, host, [...(elements.get(set)?.values() ?? [])]))
  for (const [name, chain] of [...chains].sort(([a], [b]) => (a < b ? -1 : 1))) {
    lines.push(
      ...chainLines(
        name,
        undefined,
        classRules(chain, host).flatMap(({ text }) => text),
      ),
    )
  }
  for (const { name, base, rules } of fixedChains(host)) {
    if (chains.has(name)) continue
    lines.push(...chainLines(name, base === undefined ? undefined : hookText(base), rules))
  }
  lines.push(...chainLines(layoutMarker(host), undefined, []), '}')
  return `${lines.join('\n')}\n`
}

const setLines = (set: SetName, host: HostState, elements: readonly string[]): readonly string[] => {
  const { kind, body } = setDeclaration(set, host.family)
  const clauses = body.split(/(?<=;) /).map((clause) => `\t\t${clause.slice(0, -1)}`)
  const filled = elements.length === 0 ? [] : [`\t\telements = { ${elements.join(',\n\t\t             ')} }`]
  return ['', `\t${kind} ${set} {`, ...clauses, ...filled, '\t}']
}

const chainLines = (name: string, hook: string | undefined, rules: readonly string[]): readonly string[] => [
  '',
  `\tchain ${name} {`,
  ...(hook === undefined ? [] : [`\t\t${hook}`]),
  ...rules.map((rule) => `\t\t${rule}`),
  '\t}',
]
