import type { Config } from '../config/config.ts'
import { type Cidr, cidrBits, cidrContains, cidrFamily } from '../model/cidr.ts'
import { type Family, families, type IP, parseIP } from '../model/ip.ts'

type Settings = Pick<Config, 'mode' | 'nodePortAddresses' | 'iptables'>

const loopback: Readonly<Record<Family, IP | undefined>> = { IPv4: parseIP('127.0.0.1'), IPv6: parseIP('::1') }

/** A line for each loopback address that nodePortAddresses name where NodePorts cannot answer on it, as kube-proxy logs. */
export const loopbackNodePortLines = (config: Settings): readonly string[] => {
  const { nodePortAddresses } = config
  if (nodePortAddresses.kind !== 'cidrs') return []
  return families.flatMap((family) => {
    const ip = loopback[family]
    const why = whyNot(family, config)
    if (ip === undefined || why === undefined || !names(nodePortAddresses.cidrs, family, ip)) return []
    return [`nodePortAddresses includes ${ip}, but ${why}`]
  })
}

/** A network of /0 is every address, which nobody means to include loopback by. */
const names = (all: readonly Cidr[], family: Family, ip: IP): boolean => {
  const cidrs = all.filter((cidr) => cidrFamily(cidr) === family)
  if (cidrs.some((cidr) => cidrBits(cidr) === 0)) return false
  return cidrs.some((cidr) => cidrContains(cidr, ip))
}

const whyNot = (family: Family, { mode, iptables }: Settings): string | undefined => {
  if (mode === 'nftables') return 'NodePorts on loopback addresses are not supported in mode nftables'
  if (family === 'IPv6') return 'NodePorts on loopback addresses are not supported for IPv6'
  if (mode === 'userspace') return undefined
  return iptables.localhostNodePorts ? undefined : 'iptables.localhostNodePorts is off'
}
