import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import type { InterfaceAddress } from '../../src/kernel/route/interface-address.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { openRoute } from '../../src/kernel/route/open-route.ts'
import { RTM_GETROUTE, readRoute, routeToBody } from '../../src/kernel/route/rtmsg.ts'
import { type IP, parseIP } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const route = new NetlinkRoute()
const { signal } = new AbortController()
const ip = (command: string): string => execFileSync('ip', command.split(' '), { encoding: 'utf8' })

/** `ip -j addr` in our words: an independent reading of the same kernel. */
const iproute = (): readonly unknown[] => {
  const links: readonly { ifname: string; ifindex: number; addr_info: { local: string; scope: string }[] }[] =
    JSON.parse(ip('-j addr'))
  return links.flatMap(({ ifname, ifindex, addr_info }) =>
    addr_info.map(({ local, scope }) => ({ ip: local, interface: ifname, index: ifindex, scope })),
  )
}
const sorted = (list: readonly unknown[]): readonly string[] => list.map((item) => JSON.stringify(item)).sort()
const essence = (addresses: readonly InterfaceAddress[]): readonly unknown[] =>
  addresses.map(({ ip, interface: name, index, scope }) => ({ ip, interface: name, index, scope }))

const until = async (what: string, condition: () => boolean): Promise<void> => {
  const giveUp = Date.now() + 5_000
  while (!condition()) {
    if (Date.now() > giveUp) throw new Error(`not seen within 5 s: ${what}`)
    await sleep(10)
  }
}

t.test('lists what ip lists', async (t) => {
  ip('link add br0 type bridge')
  ip('link add veth-a type veth peer name veth-b')
  ip('link set veth-b up')
  for (const address of ['192.0.2.1/24', '192.0.2.2/32 label br0:alias', '2001:db8::1/64 nodad', 'fe80::5/64 nodad'])
    ip(`addr add ${address} dev br0`)
  ip('addr add 198.51.100.1 peer 198.51.100.2/32 dev veth-a')
  ip('addr add 2001:db8:1::1 peer 2001:db8:1::2/128 dev veth-a nodad')
  ip('addr add 203.0.113.1/32 dev lo scope global')
  ip('addr add 203.0.113.2/32 dev lo scope link')
  const addresses = await route.listAddresses(signal)
  t.same(sorted(essence(addresses)), sorted(iproute()))
  const byIp = new Map(addresses.map((address) => [String(address.ip), address]))
  t.match(byIp.get('127.0.0.1'), { interface: 'lo', family: 'IPv4', scope: 'host', loopback: true })
  t.match(byIp.get('::1'), { interface: 'lo', family: 'IPv6', loopback: true })
  t.match(byIp.get('203.0.113.1'), { interface: 'lo', scope: 'global', loopback: false })
  t.match(byIp.get('192.0.2.2'), { interface: 'br0' }, 'the label of an address is not its interface')
  t.match(byIp.get('198.51.100.1'), { interface: 'veth-a' }, 'ours, not the peer')
  t.match(byIp.get('2001:db8:1::1'), { interface: 'veth-a' }, 'ours, not the peer')
  t.match(byIp.get('fe80::5'), { scope: 'link' })
})

t.test('watches', async (t) => {
  const stop = new AbortController()
  const lists: (readonly InterfaceAddress[])[] = []
  const errors: unknown[] = []
  const first = await route.watchAddresses((list) => lists.push(list), stop.signal, {
    onError: (error) => errors.push(error),
  })
  t.same(sorted(essence(first)), sorted(iproute()))
  const has = (address: string) => (): boolean => (lists.at(-1) ?? first).some((item) => item.ip === address)
  const lacks = (address: string) => (): boolean => !has(address)()

  ip('addr add 192.0.2.77/24 dev br0')
  await until('an added IPv4 address', has('192.0.2.77'))
  ip('addr add 2001:db8::77/64 dev br0')
  await until('an added IPv6 address', has('2001:db8::77'))
  ip('addr del 192.0.2.77/24 dev br0')
  await until('a removed IPv4 address', lacks('192.0.2.77'))
  ip('addr del 2001:db8::77/64 dev br0')
  await until('a removed IPv6 address', lacks('2001:db8::77'))

  ip('link set veth-a name uplink')
  await until('a renamed interface', () =>
    (lists.at(-1) ?? []).some((item) => item.interface === 'uplink' && item.ip === '198.51.100.1'),
  )
  ip('link del uplink')
  await until('a removed interface', lacks('198.51.100.1'))
  t.same(sorted(essence(lists.at(-1) ?? [])), sorted(iproute()))

  const calls = lists.length
  ip('link set br0 mtu 1400')
  await sleep(200)
  t.equal(lists.length, calls, 'a change that touches no address is not one')

  // More events than the socket can hold: the list must come out right all the same.
  const batch = Array.from({ length: 8_000 }, (_, i) => `addr add 10.${Math.floor(i / 250)}.${i % 250}.1/32 dev br0\n`)
  execFileSync('ip', ['-batch', '-'], { input: batch.join('') })
  await until('all of many', () => (lists.at(-1) ?? []).filter((item) => item.ip.startsWith('10.')).length === 8_000)

  stop.abort()
  const after = lists.length
  ip('addr add 192.0.2.78/24 dev br0')
  await sleep(200)
  t.equal(lists.length, after, 'nothing after the abort')
  t.same(errors, [])
})

t.test('finds and deletes links', async (t) => {
  ip('link add kube-ipvs0 type bridge')
  t.match(await route.findLink('kube-ipvs0', signal), { name: 'kube-ipvs0' })
  t.equal(await route.deleteLink('kube-ipvs0', signal), true)
  t.equal(await route.findLink('kube-ipvs0', signal), undefined)
  t.equal(await route.deleteLink('kube-ipvs0', signal), false)
  t.notMatch(ip('link'), /kube-ipvs0/)
})

t.test('an added address is local when the promise resolves', async (t) => {
  ip('link set br0 up')
  const connection = new Connection(openRoute())
  t.teardown(() => connection.close())
  /** Asked at once: a moment later it would be so in any case. */
  const kindOfRoute = (to: IP): string | undefined => {
    let kind: string | undefined
    const request = { op: 'find a route', type: RTM_GETROUTE, body: routeToBody(to) }
    connection.request(request, signal, (message) => {
      kind = readRoute(message)?.kind
    })
    return kind
  }
  ip('-6 route add default dev br0')
  for (let i = 1; i <= 30; i++) {
    const added = parseIP(`2001:db8:7::${i}`) as IP
    await route.changeAddresses('br0', { add: [added], remove: [], purpose: 'destination' }, signal)
    t.equal(kindOfRoute(added), 'local', added)
  }
})

t.test('where the interface is down, nobody waits for that', async (t) => {
  ip('link add br1 type bridge')
  const added = parseIP('2001:db8:8::1') as IP
  t.same(await route.changeAddresses('br1', { add: [added], remove: [] }, AbortSignal.timeout(900)), [])
})

t.test('an aborted signal stops everything', async (t) => {
  const aborted = AbortSignal.abort(new Error('enough'))
  await t.rejects(route.listAddresses(aborted), { message: 'enough' })
  await t.rejects(
    route.watchAddresses(() => {}, aborted),
    { message: 'enough' },
  )
  await t.rejects(route.findLink('lo', aborted), { message: 'enough' })
  await t.rejects(route.deleteLink('lo', aborted), { message: 'enough' })
})
