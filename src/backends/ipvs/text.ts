import { ipPort, ipPortMark, type Member } from '../../kernel/ipset/member.ts'
import { restoreText, type Statement, type TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { realServerLine, virtualServerLine } from '../../kernel/ipvs/names.ts'
import { hostCidr } from '../../model/cidr.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { familyOf } from '../../model/ip.ts'
import type { FixedTable } from '../rules/fixed-layout.ts'
import { ruleTables } from '../rules/rule-table.ts'
import { fixedLayout } from './fixed.ts'
import { layoutService } from './layout.ts'
import type { InsideServer, ServiceLayout } from './layout-types.ts'
import { freeMarks } from './marks.ts'
import { allSetRoles, type SetRole, setName, setRoles } from './sets.ts'
import { type IpvsSettings, ipvsDevice } from './settings.ts'

/** With the mark that leads to it. */
interface MarkedServer extends InsideServer {
  readonly mark: number
}

export interface RenderOptions {
  /** The text of the other family, loaded before this one, does not make kube-ipvs0 already. */
  readonly device?: boolean
}

/**
 * What would be programmed on a clean node, as the kernel's own tools load it: sets first, then rules, then servers, then
 * addresses. A line above each part says which tool.
 */
export const renderIpvs = (
  host: HostState,
  states: Iterable<ServiceState>,
  settings: IpvsSettings,
  { device = true }: RenderOptions = {},
): string => {
  const { family } = settings
  const layouts = [...states].map((state) => layoutService(state, host, settings))
  const marks = freeMarks(host.masqueradeMark)
  const inside = layouts.flatMap((layout): MarkedServer[] =>
    layout.inside === undefined ? [] : [{ ...layout.inside, mark: marks.next().value }],
  )
  const part = (tool: string, text: string): string => `# ${family}: ${tool}\n${text}`
  const iptables = family === 'IPv4' ? 'iptables-restore' : 'ip6tables-restore'
  return [
    part('ipset restore', lines(setLines(layouts, inside, settings))),
    part(`${iptables} --noflush`, restoreText(fixedTables(host, settings))),
    part('ipvsadm -R', lines(serverLines(layouts, inside, settings))),
    part('ip -batch -', lines([...(device ? deviceLines : []), ...addressLines(layouts)])),
  ].join('')
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('')

const setLines = (
  layouts: readonly ServiceLayout[],
  inside: readonly MarkedServer[],
  { family }: IpvsSettings,
): readonly string[] => {
  const members = new Map<SetRole, Set<Member>>(allSetRoles.map((role) => [role, new Set()]))
  for (const { set, member } of layouts.flatMap(({ elements }) => elements)) members.get(set)?.add(member)
  for (const { fronts, mark } of inside)
    for (const { ip, protocol, port } of fronts) members.get('INSIDE')?.add(ipPortMark(ip, protocol, port, mark))
  return allSetRoles.flatMap((role) => {
    const name = setName(role, family)
    const all = [...(members.get(role) ?? [])]
    return [`create ${name} ${setOptions(role, all.length, family)}`, ...all.map((member) => `add ${name} ${member}`)]
  })
}

/** How many members a hash takes when it is not told. */
const defaultMaxElements = 65_536

const setOptions = (role: SetRole, members: number, family: IpvsSettings['family']): string => {
  const { type } = setRoles[role]
  if (type === 'bitmap:port') return `${type} range 0-65535`
  const words = [type, 'family', family === 'IPv4' ? 'inet' : 'inet6']
  if (members > defaultMaxElements) words.push('maxelem', String(2 * members))
  if ('marks' in setRoles[role]) words.push('skbinfo')
  return words.join(' ')
}

/** The fixed rules as one restore for a clean node. */
export const fixedTables = (host: HostState, settings: IpvsSettings): readonly TableChange[] => {
  const fixed = fixedLayout(host, settings)
  return ruleTables.map((table) => ({ table, statements: tableStatements(fixed[table]) }))
}

const tableStatements = ({ chains, hooks }: FixedTable): readonly Statement[] => [
  ...chains.map(({ name }): Statement => ({ kind: 'chain', chain: name })),
  ...chains.flatMap(({ name, head, tail }) =>
    [...head, ...tail].map((rule): Statement => ({ kind: 'append', chain: name, rule })),
  ),
  ...hooks.map(({ chain, rule }): Statement => ({ kind: 'insert', chain, rule })),
]

const serverLines = (
  layouts: readonly ServiceLayout[],
  inside: readonly MarkedServer[],
  { family }: IpvsSettings,
): readonly string[] => {
  const server = (id: VirtualServerId, { shape, realServers }: Pick<InsideServer, 'shape' | 'realServers'>) => [
    virtualServerLine({ id, ...shape }),
    ...realServers.map((real) => realServerLine(id, real)),
  ]
  const made = new Map<Member, readonly string[]>()
  for (const one of layouts.flatMap(({ servers }) => servers)) {
    const { ip, protocol, port, nodePort } = one
    const key = ipPort(ip, protocol, port)
    if (!nodePort || !made.has(key)) made.set(key, server({ kind: 'address', ip, protocol, port }, one))
  }
  return [
    ...[...made.values()].flat(),
    ...inside.flatMap((one) => server({ kind: 'mark', family, mark: one.mark }, one)),
  ]
}

const deviceLines = [`link add ${ipvsDevice} type dummy`, `link set ${ipvsDevice} up`] as const

/** Scope and lifetime keep the kernel from choosing these addresses as sources, also for MASQUERADE, but for themselves. */
const addressLines = (layouts: readonly ServiceLayout[]): readonly string[] =>
  [...new Set(layouts.flatMap(({ addresses }) => addresses))].map(
    (ip) =>
      `addr add ${hostCidr(ip)} dev ${ipvsDevice} ${familyOf(ip) === 'IPv4' ? 'scope host' : 'nodad preferred_lft 0'}`,
  )
