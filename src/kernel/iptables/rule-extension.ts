import type { Family } from '../../model/ip.ts'

/** The order in which extensions print options that may be written in another one (libxt_*.c, libipt_*.c: save). */
const printOrder: Readonly<Record<string, readonly string[]>> = {
  tcp: ['--sport', '--dport'],
  udp: ['--sport', '--dport'],
  sctp: ['--sport', '--dport'],
  addrtype: ['--src-type', '--dst-type', '--limit-iface-in', '--limit-iface-out'],
  recent: [
    ...['--set', '--rcheck', '--update', '--remove'],
    ...['--seconds', '--reap', '--hitcount', '--rttl', '--name', '--mask', '--rsource', '--rdest'],
  ],
  MASQUERADE: ['--to-ports', '--random', '--random-fully'],
  DNAT: ['--to-destination', '--random', '--persistent'],
}

/** A match or a target, and what it is told. */
export interface Extension {
  readonly name: string
  readonly order: readonly string[] | undefined
  /** Options with their values, each after a space, … */
  readonly options: string[]
  /** … and their places in `order`. */
  readonly ranks: number[]
}

export const extension = (name: string): Extension => ({ name, order: printOrder[name], options: [], ranks: [] })

/** Puts an option into its place. */
export const addOption = ({ order, options, ranks }: Extension, option: string, text: string): void => {
  if (order === undefined) {
    options.push(text)
    return
  }
  const found = order.indexOf(option)
  const rank = found < 0 ? order.length : found
  let at = ranks.length
  while (at > 0 && (ranks[at - 1] ?? 0) > rank) at--
  ranks.splice(at, 0, rank)
  options.splice(at, 0, text)
}

const fullMask = { IPv4: '255.255.255.255', IPv6: 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff' } as const
const rejectWith = { IPv4: 'icmp-port-unreachable', IPv6: 'icmp6-port-unreachable' } as const

/** All options, with the defaults that are always printed. */
export const optionsText = (given: Extension, family: Family): string => {
  const has = (option: string): boolean =>
    given.order?.some((name, rank) => name === option && given.ranks.includes(rank)) ?? false
  if (given.name === 'recent') {
    if (!has('--name')) addOption(given, '--name', ' --name DEFAULT')
    if (!has('--mask')) addOption(given, '--mask', ` --mask ${fullMask[family]}`)
    if (!has('--rdest') && !has('--rsource')) addOption(given, '--rsource', ' --rsource')
  } else if (given.name === 'REJECT' && given.options.length === 0) return ` --reject-with ${rejectWith[family]}`
  let text = ''
  for (const option of given.options) text += option
  return text
}
