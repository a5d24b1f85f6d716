import { type IP, parseIP } from '../../model/ip.ts'
import { parsePort } from '../../model/port.ts'
import { isProtocol } from '../../model/protocol.ts'
import type { VirtualServer } from './virtual-server.ts'

/** `TCP  0A600001:0050 rr`, `UDP  [fd00:0000:…:0001]:0035 rr persistent 10800`; hexadecimal, in network order. */
const serviceLine = /^(TCP|UDP|SCTP) +(?:([0-9A-F]{8})|\[([0-9a-fA-F:]+)\]):([0-9A-F]{4}) /

/** Parses /proc/net/ip_vs (ip_vs_info_seq_show of net/netfilter/ipvs/ip_vs_ctl.c). */
export const parseProcIpVs = (text: string): readonly VirtualServer[] => {
  const servers: VirtualServer[] = []
  for (const line of text.split('\n')) {
    const [, protocol, hex, ipv6, port = ''] = serviceLine.exec(line) ?? []
    const ip = hex === undefined ? parseIP(ipv6 ?? '') : ipv4OfHex(hex)
    if (ip === undefined || !isProtocol(protocol)) continue
    servers.push({ protocol, ip, port: parsePort(Number.parseInt(port, 16)) })
  }
  return servers
}

const ipv4OfHex = (hex: string): IP | undefined =>
  parseIP([0, 2, 4, 6].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.'))
