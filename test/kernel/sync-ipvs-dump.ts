import { setTypes } from '../../src/kernel/ipset/ipset.ts'
import { familyOfServer, type RealServer } from '../../src/kernel/ipvs/ipvs.ts'
import { realServerLine, virtualServerLine, virtualServerName } from '../../src/kernel/ipvs/names.ts'
import { families } from '../../src/model/ip.ts'
import type { ServerKernel } from './sync-ipvs-kernel.ts'
import { never } from './sync-rig.ts'

export interface ServersDump {
  readonly servers: Readonly<Record<string, readonly string[]>>
  readonly sets: Readonly<Record<string, readonly string[]>>
  readonly chains: Readonly<Record<string, readonly string[]>>
  readonly addresses: readonly string[]
}

/** What is there, in words; a mark is called by the first address that it is for, because numbers are given as they come. */
export const dumpServers = async ({ ipvs, route, ipset, iptables }: ServerKernel): Promise<ServersDump> => {
  const sets: Record<string, readonly string[]> = {}
  const fronts = new Map<string, string>()
  for (const { name, type, family = 'IPv4', options } of await ipset.list(never)) {
    const known = setTypes.find((each) => each === type)
    if (known === undefined) continue
    const marks = options.includes('skbinfo') ? { marks: true as const } : {}
    const members = [...(await ipset.members({ name, type: known, family, ...marks }, never))].sort()
    for (const member of members) {
      const [front = '', mark] = member.split(' skbmark 0x')
      const key = `${family} ${Number.parseInt(mark ?? '', 16)}`
      if (mark !== undefined && !fronts.has(key)) fronts.set(key, front)
    }
    sets[`${name} ${type} ${family} ${options.join(' ')}`] = members.map((member) => {
      const [front = '', mark] = member.split(' skbmark 0x')
      return mark === undefined ? member : `${front} as ${fronts.get(`${family} ${Number.parseInt(mark, 16)}`)}`
    })
  }
  const servers: Record<string, readonly string[]> = {}
  for (const server of await ipvs.virtualServers(never)) {
    const { id } = server
    const family = familyOfServer(id)
    const name = virtualServerName(id)
    const as = id.kind === 'mark' ? `-f ${family} ${fronts.get(`${family} ${id.mark}`)}` : name
    const line = (realServer: RealServer): string => realServerLine(id, realServer).replace(name, as)
    servers[virtualServerLine(server).replace(name, as)] = (await ipvs.realServers(id, never)).map(line).sort()
  }
  const chains: Record<string, readonly string[]> = {}
  for (const family of families)
    for (const table of (await iptables[family].save(never)).tables) {
      const rules = new Map<string, string[]>([...table.chains.keys()].map((chain) => [chain, []]))
      for (const { chain, rule } of table.rules) rules.get(chain)?.push(rule)
      for (const [chain, list] of rules) chains[`${family} ${table.name} ${chain}`] = list
    }
  const addresses = (await route.listAddresses(never)).map(({ interface: name, ip }) => `${name} ${ip}`)
  return { servers, sets, chains, addresses: addresses.sort() }
}
