import { cidrContains, hostCidr, parseCidr } from '../../src/model/cidr.ts'
import { parseIP } from '../../src/model/ip.ts'
import type { TracedPacket } from './fate.ts'

export interface TextIpset {
  /** As `ipset save` names it: `hash:ip,port`. */
  readonly type: string
  readonly members: ReadonlySet<string>
}
/** By name. */
export type TextIpsets = ReadonlyMap<string, TextIpset>

/** Carries out `create` and `add` as `ipset save` prints and `ipset restore` reads them. */
export const readIpsets = (text: string): TextIpsets => {
  const sets = new Map<string, { readonly type: string; readonly members: Set<string> }>()
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || line.startsWith('#')) continue
    const [command, name = '', what = ''] = line.split(/\s+/)
    if (command === 'create') sets.set(name, { type: what, members: new Set() })
    else if (command === 'add') membersOf(sets, name).add(what)
    else throw new TypeError(`the tracer does not know: ${line}`)
  }
  return sets
}

const membersOf = (sets: ReadonlyMap<string, { readonly members: Set<string> }>, name: string): Set<string> => {
  const set = sets.get(name)
  if (set === undefined) throw new TypeError(`no set ${name}`)
  return set.members
}

/** Whether the set holds the packet, each dimension looked at on the side that `flags` say: `dst,dst,src`. */
export const inIpset = ({ type, members }: TextIpset, flags: string, packet: TracedPacket): boolean => {
  const [method, dimensions = ''] = type.split(':')
  const kinds = dimensions.split(',')
  const sides = flags.split(',')
  if (sides.length < kinds.length) throw new TypeError(`${type} is matched by ${flags}`)
  // ip_set_get_ip_port, which bitmap:port goes by, knows TCP and UDP only.
  if (method === 'bitmap' && packet.protocol === 'sctp') return false
  const tests = kinds.map((kind, i) => dimension(method ?? '', kind, sides[i] ?? '', packet))
  for (const member of members) {
    const parts = member.split(',')
    if (tests.every((test, i) => test(parts[i] ?? ''))) return true
  }
  return false
}

const dimension = (method: string, kind: string, side: string, packet: TracedPacket): ((part: string) => boolean) => {
  if (side !== 'src' && side !== 'dst') throw new TypeError(`no side of a packet: ${side}`)
  const address = side === 'src' ? packet.saddr : packet.daddr
  switch (kind) {
    case 'ip':
    case 'net':
      return (part) => isWithin(address, part)
    case 'port': {
      if (side === 'src') throw new TypeError('the tracer knows no source ports')
      const wanted = method === 'bitmap' ? String(packet.dport) : `${packet.protocol}:${packet.dport}`
      return (part) => part === wanted
    }
    default:
      throw new TypeError(`the tracer does not know ${method}:${kind}`)
  }
}

/** `wanted`: an address or a network. */
export const isWithin = (address: string, wanted: string): boolean => {
  const ip = parseIP(address)
  const whole = parseIP(wanted)
  const cidr = whole === undefined ? parseCidr(wanted) : hostCidr(whole)
  if (ip === undefined || cidr === undefined) throw new TypeError(`no network: ${wanted}`)
  return cidrContains(cidr, ip)
}
