import { restoreText } from '../../kernel/iptables/restore-builder.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ObservedRules } from './observe.ts'
import { planFull } from './plan-full.ts'
import { setName, setRoles } from './sets.ts'
import type { IptablesSettings } from './settings.ts'

const cleanNode: ObservedRules = { kind: 'rules', tables: new Map(), sets: new Map(), counts: new Map() }

/**
 * What would be programmed on a clean node: input for `iptables-restore --noflush` (or ip6tables-restore), behind it as
 * comments, where sets are used, what `ipset restore` has to be given first.
 */
export const renderIptables = (
  host: HostState,
  services: Iterable<ServiceState>,
  settings: IptablesSettings,
): string => {
  const { tables, sets } = planFull(host, services, cleanNode, settings)
  const program = settings.family === 'IPv4' ? 'iptables-restore' : 'ip6tables-restore'
  const lines = [`# ${settings.family}: ${program} --noflush`]
  const hashFamily = settings.family === 'IPv4' ? 'inet' : 'inet6'
  for (const role of sets.create) {
    const { type } = setRoles[role]
    const name = setName(role, settings.family)
    const options = type === 'bitmap:port' ? 'range 0-65535' : `family ${hashFamily}`
    lines.push(`# ipset create ${name} ${type} ${options}`)
    for (const member of sets.add.get(role) ?? []) lines.push(`# ipset add ${name} ${member}`)
  }
  return `${lines.join('\n')}\n${restoreText(tables)}`
}
