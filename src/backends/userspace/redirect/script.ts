import type { HostState } from '../../../model/host.ts'
import type { Family } from '../../../model/ip.ts'
import { setClauses, setKind, setNames, tableFamily, userspaceTable } from './schema.ts'
import { chainsOf } from './structure.ts'
import type { ElementChange, WrittenElement } from './written.ts'

const elementText = ({ key, value }: WrittenElement): string => (value === undefined ? key : `${key} : ${value}`)

const tableOf = (family: Family): string => `${tableFamily(family)} ${userspaceTable}`

/** The whole table, in place of whatever is there, in one transaction of `nft -f`. */
export const tableScript = (
  host: HostState,
  elements: Iterable<WrittenElement>,
  name = tableOf(host.family),
): string => {
  const bySet = new Map<string, string[]>(setNames.map((set) => [set, []]))
  for (const element of elements) bySet.get(element.set)?.push(elementText(element))
  const lines = [
    `table ${name}`,
    `delete table ${name}`,
    `table ${name} {`,
    '\tcomment "weir: to the proxy in user space"',
  ]
  for (const set of setNames) {
    const found = bySet.get(set) ?? []
    lines.push('', `\t${setKind(set)} ${set} {`, ...setClauses(set, host.family).map((clause) => `\t\t${clause}`))
    if (found.length > 0) lines.push(`\t\telements = { ${found.join(',\n\t\t             ')} }`)
    lines.push('\t}')
  }
  for (const { name: chain, hook, rules } of chainsOf(host)) {
    const body = hook === undefined ? rules : [hook, ...rules]
    lines.push('', `\tchain ${chain} {`, ...body.map((line) => `\t\t${line}`), '\t}')
  }
  return `${lines.join('\n')}\n}\n`
}

/** Only the elements that differ; '' when none does. What is replaced is removed first. */
export const changeScript = (family: Family, { removed, added }: ElementChange): string =>
  [...statements('delete', family, removed, ({ key }) => key), ...statements('add', family, added, elementText)].join(
    '',
  )

const statements = (
  verb: 'add' | 'delete',
  family: Family,
  elements: readonly WrittenElement[],
  text: (element: WrittenElement) => string,
): readonly string[] =>
  setNames.flatMap((set) => {
    const found = elements.filter((element) => element.set === set)
    if (found.length === 0) return []
    return [`${verb} element ${tableOf(family)} ${set} { ${found.map(text).join(', ')} }\n`]
  })

/** The same structure under another name, gone in the same transaction: whether all of it can be had. */
export const probeScript = (host: HostState): string => {
  const name = `${tableOf(host.family)}-probe`
  return `${tableScript(host, [], name)}delete table ${name}\n`
}
