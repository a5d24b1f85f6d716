import { execFileSync } from 'node:child_process'
import type { Net } from '../flows/net.ts'
import { isInGuest } from '../support/uml-file.ts'
import { deviceOf } from './devices.ts'

/** A mark that somebody else gives to what comes from `client`. */
const foreign = 0x20001

export interface MarkCounts {
  /** Packets to an endpoint that left with the mark that somebody else gave them, and with another. */
  readonly kept: number
  readonly notKept: number
  /** That left with our bit. */
  readonly ours: number
}

/** Marks what comes from `client`, until `t` ends; says what became of that on the way out to `remote-1`. */
export const probeMarks = (
  t: { readonly teardown: (end: () => unknown) => unknown },
  net: Net,
  bit: number,
): (() => MarkCounts) => (isInGuest() ? byQueues(t, net, bit) : byRules(t, net, bit))

/** Behind all of iptables and nftables; first packets. */
const byRules: typeof probeMarks = (t, net, bit) => {
  const ip = net.family === 'IPv4' ? 'ip' : 'ip6'
  const first = `ct state new ct original ${ip} saddr ${net.at.client}`
  execFileSync('nft', ['-f', '-'], {
    input: `table ${ip} probe {
      chain pre { type filter hook prerouting priority -150; ${ip} saddr ${net.at.client} meta mark set ${foreign}; }
      chain post { type filter hook postrouting priority 200
        ${first} meta mark ${foreign} counter comment "kept"
        ${first} meta mark != ${foreign} counter comment "not kept"
        meta mark & ${bit} != 0 counter comment "ours"
      }
    }`,
  })
  t.teardown(() => execFileSync('nft', ['delete', 'table', ip, 'probe']))
  return () => {
    const listing = execFileSync('nft', ['list', 'table', ip, 'probe'], { encoding: 'utf8' })
    const count = (name: string): number =>
      Number(new RegExp(`packets (\\d+) bytes \\d+ comment "${name}"`).exec(listing)?.[1])
    return { kept: count('kept'), notKept: count('not kept'), ours: count('ours') }
  }
}

/** Where there is no such chain: in the queues of the device, which see every packet. */
const byQueues: typeof probeMarks = (t, net, bit) => {
  const program = net.family === 'IPv4' ? 'iptables-legacy' : 'ip6tables-legacy'
  const device = deviceOf('remote-1')
  const tc = (line: string): string => execFileSync('tc', line.split(' '), { encoding: 'utf8' })
  const mark = ['PREROUTING', '-t', 'mangle', '-s', net.at.client, '-j', 'MARK', '--set-mark', String(foreign)]
  execFileSync(program, ['-A', ...mark])
  tc(`qdisc add dev ${device} root handle 1: htb default 3`)
  for (const minor of [1, 2, 3]) tc(`class add dev ${device} parent 1: classid 1:${minor} htb rate 1gbit quantum 1500`)
  const filter = (preference: number, handle: string): string =>
    tc(`filter add dev ${device} parent 1: protocol all prio ${preference} handle ${handle} fw classid 1:${preference}`)
  filter(1, `${bit}/${bit}`)
  filter(2, `${foreign}/0xffffffff`)
  t.teardown(() => {
    tc(`qdisc del dev ${device} root`)
    execFileSync(program, ['-D', ...mark])
  })
  return () => {
    const listing = tc(`-s class show dev ${device}`)
    const count = (minor: number): number =>
      Number(new RegExp(`class htb 1:${minor} [^]*?Sent \\d+ bytes (\\d+) pkt`).exec(listing)?.[1])
    return { ours: count(1), kept: count(2), notKept: count(3) }
  }
}
