/**
 * For the guest: our IPVS client, the fake and ipvsadm on one kernel. Prints a line of JSON for each comparison: what it is
 * about, what was found, what should have been.
 */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { FakeIpvs } from '../../src/kernel/ipvs/fake-ipvs.ts'
import type { Ipvs, IpvsChange, IpvsCounters } from '../../src/kernel/ipvs/ipvs.ts'
import { realServerLine, virtualServerLine, virtualServerName } from '../../src/kernel/ipvs/names.ts'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import { KernelError } from '../../src/kernel/netlink/error.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { ip } from '../support/lvs.ts'
import { writeComparison } from './comparison.ts'
import { add, adjust, at, attach, detach, drop, marked } from './ipvs-changes.ts'
import { asSaved, lines, list, saved, sh, text } from './ipvs-listing.ts'
import { guestSchedulers, steps } from './ipvs-script.ts'

const { signal } = new AbortController()

const calls = { opened: 0, sent: 0, received: 0 }
/** Counts what goes over a socket. */
const countingTransport = (): Transport => {
  calls.opened++
  const transport = openTransport({ protocol: protocols.generic, sendBuffer: 1 << 18, receiveBuffer: 1 << 20 })
  const { send, receive } = transport
  return Object.assign(transport, {
    send(bytes: Uint8Array): void {
      calls.sent++
      send.call(transport, bytes)
    },
    receive(): Uint8Array | undefined {
      calls.received++
      return receive.call(transport)
    },
  })
}

const ipvs = new NetlinkIpvs({ open: countingTransport })
const fake = new FakeIpvs({ schedulers: guestSchedulers, broadcast: [ip('203.0.113.255')] })

const attempt = async (run: () => Promise<unknown>): Promise<unknown> => {
  try {
    return (await run()) ?? 'done'
  } catch (error) {
    return error instanceof KernelError
      ? { code: error.code, errno: error.errno, message: error.message }
      : String(error)
  }
}

// A kernel that cannot load the module, and one that has not.
writeFileSync('/proc/sys/kernel/modprobe', '/bin/false')
writeComparison('not loaded', await attempt(() => ipvs.loaded(signal)), false)
const unsupported = await Promise.all(
  [
    () => ipvs.virtualServers(signal),
    () => ipvs.realServers(marked(1), signal),
    () => ipvs.apply([drop(marked(1))], signal),
    () => ipvs.timeouts(signal),
    () => ipvs.setTimeouts({ tcp: 1, tcpFin: 1, udp: 1 }, signal),
  ].map(attempt),
)
const without = new FakeIpvs({ available: false })
writeComparison(
  'a kernel without IPVS',
  unsupported,
  await Promise.all(
    [
      () => without.virtualServers(signal),
      () => without.realServers(marked(1), signal),
      () => without.apply([drop(marked(1))], signal),
      () => without.timeouts(signal),
      () => without.setTimeouts({ tcp: 1, tcpFin: 1, udp: 1 }, signal),
    ].map(attempt),
  ),
)
writeFileSync('/proc/sys/kernel/modprobe', '/run/modprobe')
writeComparison('asking has not loaded it', await ipvs.loaded(signal), false)
writeComparison('no changes need no IPVS', [await ipvs.apply([], signal), await ipvs.loaded(signal)], [[], false])
writeComparison('a first listing', await ipvs.virtualServers(signal), [])
writeComparison('loads it', await ipvs.loaded(signal), true)

// Addresses: 203.0.113.0/24 with its broadcast, single ones, and a device for everything.
for (const line of [
  'link add sink type dummy',
  'address add 203.0.113.1/24 broadcast + dev sink',
  'address add 10.96.0.10/32 dev sink',
  'address add fd00:96::1/128 dev sink nodad',
  'link set sink up',
  'route add default dev sink',
  '-6 route add default dev sink',
])
  execFileSync('ip', line.split(' '), { stdio: ['ignore', 'inherit', 'inherit'] })

const outcome = async (table: Ipvs, changes: readonly IpvsChange[]): Promise<unknown> => ({
  refusals: (await table.apply(changes, signal)).map(({ index, error: { code, errno, op } }) => [
    index,
    code,
    errno,
    op,
  ]),
  listed: await list(table),
})

for (const { name, changes } of steps) {
  writeComparison(`kernel and fake: ${name}`, await outcome(ipvs, changes), await outcome(fake, changes))
  writeComparison(`ipvsadm -Sn: ${name}`, saved(), asSaved(await list(fake)))
}
writeComparison('there was enough to compare', (await list(fake)).length > 50, true)
for (const id of [at('10.96.9.9', 9), marked(0), at('10.96.0.1', 65_536)])
  writeComparison(`real servers of ${virtualServerName(id)}`, await ipvs.realServers(id, signal), [])

// What ipvsadm shows besides.
const thresholds = lines(sh('ipvsadm -Ln --thresholds -t 10.96.0.1:443')).slice(-6)
writeComparison(
  'ipvsadm --thresholds',
  thresholds.flatMap((line) =>
    [/-> (10\.244\.0\.[134]:6443) +(\d+) +(\d+)/.exec(line)?.slice(1) ?? []].filter((found) => found.length > 0),
  ),
  [
    ['10.244.0.3:6443', '2147483647', '1'],
    ['10.244.0.4:6443', '5', '0'],
  ],
)

// What ipvsadm wrote, we read; what we say, ipvsadm reads.
const restored = `-A -t 10.96.5.1:80 -s sh -p 10800 -M 255.255.0.0 -b sh-fallback,sh-port
-a -t 10.96.5.1:80 -r 10.244.0.2:8080 -m -w 65535
-a -t 10.96.5.1:80 -r 10.244.0.1:8080 -m -w 0 -x 10 -y 5
-A -t 10.96.5.2:80 -s mh -b mh-port
-a -t 10.96.5.2:80 -r 10.244.0.1:80 -g -w 1
-a -t 10.96.5.2:80 -r 10.244.0.2:80 -i -w 1 --tun-type ipip
-A -t [fd00:96::5]:443 -s wrr -p 300 -M 64
-a -t [fd00:96::5]:443 -r [fd00:244::1]:6443 -m -w 3
-A -u 10.96.5.3:53 -s rr -p 60 -o
-A -u 10.96.5.4:53 -s rr -o -b flag-1,flag-3
-A --sctp-service 10.96.5.5:9 -s lc
-a --sctp-service 10.96.5.5:9 -r 10.244.0.1:9 -m -w 1
-A --sctp-service [fd00:96::5]:9 -s lc -b flag-2
-A -f 7 -s wlc -p 360
-a -f 7 -r 10.244.0.1:80 -m -w 1
-A -f 7 -6 -s rr
-a -f 7 -6 -r [fd00:244::1]:80 -m -w 1
-A -t 10.96.5.6:0 -s rr -p 1
`
const sorted = (all: readonly string[]): readonly string[] => all.toSorted()
sh('ipvsadm -C; ipvsadm -R', restored)
const read = await list(ipvs)
writeComparison('what ipvsadm -R wrote', sorted(text(read)), sorted(lines(restored)))
sh('ipvsadm -C; ipvsadm -R', `${text(read).join('\n')}\n`)
const again = await list(ipvs)
const reversed = read.map(({ server, realServers }) => ({ server, realServers: realServers.toReversed() }))
writeComparison('the same from our own lines, newest first', again, reversed)
sh('ipvsadm -C; ipvsadm -A -t 10.96.5.1:80 -s rr -p 5 -M 255.0.255.0')
writeComparison('a mask with gaps', (await ipvs.virtualServers(signal))[0]?.persistencePrefix, 8)

// Timeouts.
const timeouts = (): string => /: (.*)/.exec(sh('ipvsadm -l --timeout'))?.[1] ?? ''
writeComparison('timeouts at first', await ipvs.timeouts(signal), await fake.timeouts(signal))
for (const [tcp, tcpFin, udp] of [
  [7200, 60, 30],
  [0, 61, 0],
  [0, 0, 0],
  [2_147_483, 1, 1],
  [2 ** 31 - 1, 1, 1],
  [1, 1, 2 ** 31],
  [1, -1, 1],
  [1, 1.5, 1],
] as const) {
  const name = `timeouts ${tcp} ${tcpFin} ${udp}`
  const tried = async (table: Ipvs): Promise<unknown> => [
    await attempt(() => table.setTimeouts({ tcp, tcpFin, udp }, signal)),
    await table.timeouts(signal),
  ]
  writeComparison(name, await tried(ipvs), await tried(fake))
  const now = await fake.timeouts(signal)
  writeComparison(`ipvsadm: ${name}`, timeouts(), `${now.tcp} ${now.tcpFin} ${now.udp}`)
}
sh('ipvsadm --set 900 120 300')
writeComparison('ipvsadm --set', await ipvs.timeouts(signal), { tcp: 900, tcpFin: 120, udp: 300 })

// Connections and counters.
const udp = at('10.96.0.10', 53, 'UDP')
const backend = { ip: ip('10.244.0.1'), port: 5353 }
await ipvs.apply([add(udp), attach(udp, '10.244.0.1', 5353)], signal)
for (let i = 0; i < 3; i++)
  await new Promise<void>((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.send(Buffer.alloc(100), 53, '10.96.0.10', (error) => {
      socket.close()
      if (error) reject(error)
      else resolve()
    })
  })
const inactive = async (): Promise<readonly number[]> =>
  (await ipvs.realServers(udp, signal)).map((server) => server.inactive)
writeComparison('three connections', await inactive(), [3])
const counted = { connections: 3n, packetsIn: 3n, packetsOut: 0n, bytesIn: 384n, bytesOut: 0n }
const counters = async (): Promise<readonly (IpvsCounters | undefined)[]> => {
  const server = (await ipvs.virtualServers(signal)).find(({ id }) => isDeepStrictEqual(id, udp))
  const [realServer] = await ipvs.realServers(udp, signal)
  return [server?.counters, realServer?.counters]
}
// The kernel adds them up every two seconds.
for (let i = 0; i < 60 && !isDeepStrictEqual(await counters(), [counted, counted]); i++) await sleep(100)
const numbers = (found: IpvsCounters | undefined): readonly number[] => Object.values(found ?? {}).map(Number)
writeComparison('counters', (await counters()).map(numbers), [numbers(counted), numbers(counted)])
const exact = /-> 10\.244\.0\.1:5353 +(.*)/.exec(sh('ipvsadm -Ln --stats --exact -u 10.96.0.10:53'))?.[1]
writeComparison('ipvsadm --stats', exact?.trim().split(/ +/).map(Number), numbers(counted))
await ipvs.apply([adjust(udp, '10.244.0.1', 5353, { weight: 0 }), detach(udp, '10.244.0.1', 5353)], signal)
writeComparison('gone', await inactive(), [])
await ipvs.apply([attach(udp, '10.244.0.1', 5353)], signal)
writeComparison('back with its connections', await inactive(), [3])
await fake.apply([drop(udp), add(udp), attach(udp, '10.244.0.1', 5353)], signal)
fake.setConnections(udp, backend, { inactive: 3 })
await fake.apply([detach(udp, '10.244.0.1', 5353), attach(udp, '10.244.0.1', 5353)], signal)
const [kept] = await fake.realServers(udp, signal)
writeComparison('in the fake too', [kept?.active, kept?.inactive, kept?.persistent], [0, 3, 0])

// What a change costs, and the whole.
const since = async (run: () => Promise<unknown>): Promise<typeof calls> => {
  const before = { ...calls }
  await run()
  return {
    opened: calls.opened - before.opened,
    sent: calls.sent - before.sent,
    received: calls.received - before.received,
  }
}
const once = { opened: 0, sent: 1, received: 1 }
writeComparison(
  'one change',
  await since(() => ipvs.apply([adjust(udp, '10.244.0.1', 5353, { weight: 7 })], signal)),
  once,
)
const many = Array.from({ length: 500 }, (_, i) => attach(udp, `10.244.7.${i % 250}`, 1000 + i))
writeComparison('500 changes', await since(() => ipvs.apply(many, signal)), once)
const listing = await since(() => ipvs.realServers(udp, signal))
writeComparison('a listing of real servers opens no socket', [listing.opened, listing.sent], [0, 1])

sh('ipvsadm -C')
const services = Array.from({ length: 2000 }, (_, i) => at(`10.100.${i >> 8}.${i & 255}`, 80))
const address = (i: number, k: number): string => `10.${200 + k}.${i >> 8}.${i & 255 || 1}`
const load = services.flatMap((id, i) => [
  add(id),
  ...Array.from({ length: 8 }, (_, k) => attach(id, address(i, k), 8080)),
])
const script = load
  .map((change) => {
    if (change.kind === 'addVirtualServer') return virtualServerLine(change.server)
    return change.kind === 'addRealServer' ? realServerLine(change.id, change.server) : ''
  })
  .join('\n')
writeFileSync('/tmp/load', `${script}\n`)
const timed = async (run: () => unknown): Promise<number> => {
  const begin = performance.now()
  await run()
  return performance.now() - begin
}
const theirs = await timed(() => sh('ipvsadm -R </tmp/load'))
sh('ipvsadm -C')
const ours = await timed(async () => writeComparison('nothing refused', await ipvs.apply(load, signal), []))
const ratio = ours / theirs
writeComparison(`loading 2,000 x 8 takes ${ratio.toFixed(2)} of ipvsadm's time`, ratio <= 0.5, true)
const listMs = await timed(async () => writeComparison('all of them', text(await list(ipvs)).length, 18_000))
const [load1, load2, listed] = [ours, theirs, listMs].map(Math.round)
console.error(`loads: ours ${load1} ms, ipvsadm's ${load2} ms; listing ${listed} ms`)

// Somebody who may not: one rejection, and no refusal for each change.
process.seteuid?.(65_534)
for (const [name, run] of [
  ['list', () => ipvs.virtualServers(signal)],
  ['change', () => ipvs.apply([add(at('10.96.6.1', 1)), drop(at('10.96.6.1', 2))], signal)],
  ['read timeouts', () => ipvs.timeouts(signal)],
] as const) {
  const tried = await run().then(
    () => 'done',
    (error: unknown) => (error instanceof KernelError ? [error.code, error.errno] : String(error)),
  )
  writeComparison(`without the privilege: ${name}`, tried, ['permission', 1])
}
process.seteuid?.(0)

// The family has another number when the module comes back.
sh(`ipvsadm -C; modprobe -d /run/modules -r ${guestSchedulers.map((name) => `ip_vs_${name}`).join(' ')} ip_vs`)
writeComparison('unloaded', await ipvs.loaded(signal), false)
writeComparison('listing after it was unloaded', await attempt(() => ipvs.virtualServers(signal)), [])
writeComparison('and changing', (await ipvs.apply([add(udp)], signal)).length, 0)
ipvs.close()
writeComparison('after close', (await ipvs.virtualServers(signal)).length, 1)
ipvs.close()
