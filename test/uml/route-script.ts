/**
 * NetlinkRoute and FakeRoute through the same calls, with `ip -j` as judge of what the former did. On a kernel without dummy
 * devices a bridge stands for the dummy.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { KernelError } from '../../src/kernel/netlink/error.ts'
import { FakeRoute } from '../../src/kernel/route/fake-route.ts'
import { FakeRoutes } from '../../src/kernel/route/fake-routes.ts'
import type { AddressPurpose, LinkLoss, Route } from '../../src/kernel/route/interface-address.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { NetlinkRoutes } from '../../src/kernel/route/netlink-routes.ts'
import type { RouteEntry, Routes } from '../../src/kernel/route/route-entry.ts'
import { type Cidr, parseCidr } from '../../src/model/cidr.ts'
import { type Family, families, type IP, parseIP } from '../../src/model/ip.ts'

export type Compare = (name: string, found: unknown, wanted: unknown) => void

const { signal } = new AbortController()
export const iproute = (command: string): string => execFileSync('ip', command.split(' '), { encoding: 'utf8' })

const ip = (text: string): IP => parseIP(text) ?? bad(text)
const cidr = (text: string): Cidr => parseCidr(text) ?? bad(text)
const bad = (text: string): never => {
  throw new Error(text)
}

/** Waits at most five seconds. */
export const until = async (condition: () => boolean): Promise<boolean> => {
  for (const giveUp = Date.now() + 5_000; !condition(); await sleep(5)) if (Date.now() > giveUp) return false
  return true
}

/** An IPv4 address of the benchmark range, RFC 2544, and an IPv6 one of documentation. */
const many = (count: number): readonly IP[] =>
  Array.from({ length: count }, (_, i) =>
    ip(i % 2 === 0 ? `198.18.${i >> 8}.${i & 0xff}` : `2001:db8:18::${(i + 1).toString(16)}`),
  )

interface AddressInfo {
  readonly local: string
  readonly prefixlen: number
  readonly scope: string
  readonly tentative?: boolean
  readonly nodad?: boolean
  readonly deprecated?: boolean
  readonly noprefixroute?: boolean
  readonly dadfailed?: boolean
  readonly secondary?: boolean
}
const addressFlags = ['deprecated', 'tentative', 'nodad', 'noprefixroute', 'dadfailed', 'secondary'] as const

/** What `ip -j addr` says, as `address/length scope flags`. */
export const judged = (device: string): readonly string[] => {
  const [link]: readonly { readonly addr_info: readonly AddressInfo[] }[] = JSON.parse(
    iproute(`-j addr show dev ${device}`),
  )
  return (link?.addr_info ?? [])
    .map((info) => {
      const flags = addressFlags.filter((flag) => info[flag] === true)
      return [`${info.local}/${info.prefixlen}`, info.scope, ...flags].join(' ')
    })
    .sort()
}

const asJudged = (ips: readonly IP[]): readonly string[] =>
  ips.map((each) => (each.includes(':') ? `${each}/128 global nodad noprefixroute` : `${each}/32 global`)).sort()

/** Of those that are destinations only. */
const destinationsJudged = (ips: readonly IP[]): readonly string[] =>
  ips
    .map((each) => (each.includes(':') ? `${each}/128 global deprecated nodad noprefixroute` : `${each}/32 host`))
    .sort()

const outcome = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return (await work) ?? 'nothing'
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return error.code
  }
}

const addressesOf = async (route: Route, device: string): Promise<readonly string[]> =>
  (await route.listAddresses(signal))
    .filter((address) => address.interface === device)
    .map((address) => `${address.ip} ${address.family} ${address.scope} ${address.loopback}`)
    .sort()

/** `hasDummies`: of this kernel. */
export const compareLinks = async (hasDummies: boolean, compare: Compare): Promise<void> => {
  const device = 'kube-ipvs0'
  const kernel = new NetlinkRoute()
  const fake = new FakeRoute()
  const both = async (name: string, call: (route: Route) => Promise<unknown>): Promise<unknown> => {
    const wanted = await outcome(call(kernel))
    compare(name, await outcome(call(fake)), wanted)
    return wanted
  }
  const change =
    (add: readonly IP[], remove: readonly IP[], purpose: AddressPurpose = 'any') =>
    (route: Route) =>
      route
        .changeAddresses(device, { add, remove, purpose }, signal)
        .then((refusals) => refusals.map(({ ip, error }) => `${ip} ${error.code}`))
  const kindAndState = async (route: Route): Promise<unknown> => {
    const link = await route.findLink(device, signal)
    return link === undefined ? 'none' : [link.name, link.kind, link.up]
  }
  const make = (route: Route): Promise<boolean> => route.ensureDummy(device, signal)

  await both('addresses for no device', change([ip('192.0.2.1')], []))
  await both('no device is found', kindAndState)
  if (hasDummies) {
    compare('a dummy is made', await both('make', make), true)
    compare('once', await both('make again', make), false)
    iproute(`link set ${device} down`)
    const [{ index = 0 } = {}] = (await fake.listLinks(signal)).filter(({ name }) => name === device)
    fake.addLink({ name: device, index, kind: 'dummy', up: false })
    compare('one that is down is not made', await both('make a third time', make), false)
  } else {
    fake.withoutDummies()
    compare('this kernel has no dummies', await both('make', make), 'unsupported')
    iproute(`link add ${device} type bridge`)
    iproute(`link set ${device} up`)
    fake.addLink({ name: device, index: 7, kind: 'bridge', up: true })
    compare('a bridge is no dummy', await both('make', make), 'exists')
  }
  compare('it is up', await both('find', kindAndState), [device, hasDummies ? 'dummy' : 'bridge', true])
  compare('as ip sees it', /[<,]UP[,>]/.test(iproute(`link show ${device}`)), true)
  // The kernel gives every device that comes up an address.
  iproute(`addr flush dev ${device}`)

  const losses = new Map<Route, LinkLoss[]>([
    [kernel, []],
    [fake, []],
  ])
  const lists = new Map<Route, string[]>([
    [kernel, []],
    [fake, []],
  ])
  const stop = new AbortController()
  for (const route of [kernel, fake]) {
    await route.watchLink(device, (loss) => losses.get(route)?.push(loss), stop.signal)
    await route.watchAddresses(
      (list) => lists.get(route)?.push(`${list.filter(({ interface: name }) => name === device).length}`),
      stop.signal,
    )
  }
  const lost = (route: Route): readonly string[] =>
    (losses.get(route) ?? []).flatMap((loss): readonly string[] =>
      loss.kind === 'addresses' ? loss.ips.toSorted() : [loss.kind],
    )

  const few = ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'].map(ip)
  compare('all are added', await both('add', change(few, [])), [])
  compare('as ip sees them', judged(device), asJudged(few))
  await both('list', (route) => addressesOf(route, device))
  compare('what is there already is no error', await both('add again', change(few, [])), [])
  compare(
    'what is gone already is no error',
    await both('remove none', change([], [ip('192.0.2.9'), ip('2001:db8::9')])),
    [],
  )

  const group = ip('ff02::1')
  fake.refuse(group, KernelError.ofErrno('add', 99))
  const around = [ip('192.0.2.3'), group, ip('2001:db8::3')]
  compare('one of three is refused', await both('add three', change(around, [])), ['ff02::1 notFound'])
  compare('the others are there', judged(device), asJudged([...few, ip('192.0.2.3'), ip('2001:db8::3')]))
  const destinations = [ip('192.0.2.5'), ip('2001:db8::5')]
  await both('add destinations', change(destinations, [], 'destination'))
  const marked = judged(device).filter((line) => destinations.some((each) => line.startsWith(`${each}/`)))
  compare('destinations as ip sees them', marked, destinationsJudged(destinations))
  compare('their scope', await addressesOf(fake, device), await addressesOf(kernel, device))
  await both('remove destinations', change([], destinations))
  await both('change both ways', change([ip('192.0.2.4')], [ip('192.0.2.3'), ip('2001:db8::3')]))
  compare('both ways as ip sees it', judged(device), asJudged([...few, ip('192.0.2.4')]))
  compare('what went is told', await until(() => lost(kernel).length === 4), true)
  compare('and by the fake', lost(fake).toSorted(), lost(kernel).toSorted())

  const lot = many(2_000)
  compare('2,000 are added', await both('add 2,000', change(lot, [])), [])
  compare('2,000 as ip sees them', judged(device), asJudged([...few, ip('192.0.2.4'), ...lot]))
  compare('2,000 are watched', await until(() => lists.get(kernel)?.at(-1) === '2005'), true)
  compare('1,000 are removed', await both('remove 1,000', change([], lot.slice(1_000))), [])
  compare('1,000 as ip sees them', judged(device), asJudged([...few, ip('192.0.2.4'), ...lot.slice(0, 1_000)]))
  await both('list many', (route) => addressesOf(route, device))
  compare('1,000 losses are told', await until(() => lost(kernel).length === 1_004), true)
  compare('which', lost(kernel).toSorted(), lost(fake).toSorted())

  compare('it is deleted', await both('delete', (route) => route.deleteLink(device, signal)), true)
  compare('once', await both('delete again', (route) => route.deleteLink(device, signal)), false)
  compare('the end is told', await until(() => lost(kernel).at(-1) === 'link'), true)
  compare('and by the fake', lost(fake).at(-1), 'link')
  compare('no address is left', await until(() => lists.get(kernel)?.at(-1) === '0'), true)
  compare('nor in the fake', lists.get(fake)?.at(-1), '0')
  await both('add to what is gone', change(few, []))
  stop.abort()
}

interface RouteInfo {
  readonly type?: string
  readonly dst: string
  readonly gateway?: string
  readonly dev?: string
  readonly metric?: number
}

/** `ip -j route` in our words. */
const judgedRoutes = (family: Family, table: number): readonly string[] => {
  const args = ['-j', family === 'IPv4' ? '-4' : '-6', 'route', 'show', 'table', String(table)]
  const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (stderr.includes('table does not exist')) return []
  if (status !== 0) throw new Error(stderr)
  const list: readonly RouteInfo[] = JSON.parse(stdout || '[]')
  const maxBits = family === 'IPv4' ? 32 : 128
  const any = family === 'IPv4' ? '0.0.0.0/0' : '::/0'
  return list
    .map(({ type = 'unicast', dst, gateway, dev, metric = 0 }) => {
      const destination = dst === 'default' ? any : dst.includes('/') ? dst : `${dst}/${maxBits}`
      const leads = type === 'unicast' || type === 'local'
      return [type, destination, leads ? dev : '-', gateway ?? '-', metric].join(' ')
    })
    .sort()
}

/** Needs a device `out` that is up, with 192.0.2.1/24 and 2001:db8::1/64. */
export const compareRoutes = async (compare: Compare): Promise<void> => {
  const kernel = new NetlinkRoutes()
  const fake = new FakeRoutes()
  const links = await new NetlinkRoute().listLinks(signal)
  const names = new Map(links.map(({ name, index }) => [index, name]))
  const index = links.find(({ name }) => name === 'out')?.index
  const lo = links.find(({ name }) => name === 'lo')?.index
  const table = 1_000
  const text = (entry: RouteEntry): string =>
    [entry.kind, entry.destination, names.get(entry.index ?? 0) ?? '-', entry.gateway ?? '-', entry.metric].join(' ')
  const list = async (routes: Routes, family: Family): Promise<readonly string[]> =>
    (await routes.list({ family, table }, signal)).map(text).sort()
  const both = async (name: string, add: readonly RouteEntry[], remove: readonly RouteEntry[]): Promise<void> => {
    const refused = async (routes: Routes): Promise<unknown> =>
      (await routes.change({ add, remove }, signal)).map(({ entry, error }) => `${text(entry)} ${error.code}`)
    compare(`${name}: refusals of the fake`, await refused(fake), await refused(kernel))
    for (const family of families) {
      compare(`${name}: ${family} in the fake`, await list(fake, family), await list(kernel, family))
      compare(`${name}: ${family} as ip sees it`, await list(kernel, family), judgedRoutes(family, table))
    }
  }
  const entry = (kind: RouteEntry['kind'], destination: string, more: Partial<RouteEntry> = {}): RouteEntry => ({
    ...{ kind, destination: cidr(destination), table, metric: 0, index: undefined, gateway: undefined },
    ...more,
  })

  await both('no such table', [], [entry('unicast', '198.51.100.0/24'), entry('unicast', '2001:db8:1::/64')])
  const all = [
    entry('local', '10.96.0.1/32', { index: lo }),
    entry('local', 'fd00:96::1/128', { index: lo }),
    entry('unicast', '198.51.100.0/24', { index, gateway: ip('192.0.2.9') }),
    entry('unicast', '2001:db8:1::/64', { index, gateway: ip('2001:db8::9') }),
    entry('unicast', '203.0.113.0/25', { index, metric: 7 }),
    entry('unicast', '2001:db8:2::/64', { index, metric: 7 }),
    entry('blackhole', '198.18.0.0/15'),
    entry('blackhole', '2001:db8:3::/64'),
    entry('unreachable', '198.19.0.0/16'),
    entry('unreachable', '2001:db8:4::/64', { metric: 9 }),
    entry('unicast', '0.0.0.0/0', { index }),
    entry('unicast', '::/0', { index }),
  ]
  await both('add all', all, [])
  compare('all are there', (await list(kernel, 'IPv4')).length + (await list(kernel, 'IPv6')).length, all.length)
  await both('add all again', all, [])
  const others = [
    entry('unicast', '198.51.100.0/24', { index, gateway: ip('192.0.2.8') }),
    entry('blackhole', '203.0.113.0/25', { metric: 8 }),
    entry('unicast', '2001:db8:1::/64', { index, gateway: ip('2001:db8::8') }),
  ]
  await both('another in its place, and one beside it', others, [])
  await both('only read', [entry('other', '198.51.100.0/24')], [entry('other', '2001:db8:1::/64')])
  await both('of another metric', [], [entry('blackhole', '203.0.113.0/25', { metric: 99 })])
  await both('of another kind', [], [entry('unreachable', '198.18.0.0/15')])
  await both('remove', [], [entry('blackhole', '203.0.113.0/25', { metric: 8 }), ...all.slice(0, 6)])
  await both('remove all', [], [...all, ...others])
  compare('none is left', [await list(kernel, 'IPv4'), await list(kernel, 'IPv6')], [[], []])
  const nowhere = [entry('unicast', '198.51.100.0/24', { index: 9_999 }), entry('unicast', '203.0.113.0/24', { index })]
  const refusals = await kernel.change({ add: nowhere, remove: [] }, signal)
  compare(
    'a route by no interface',
    refusals.map(({ entry }) => entry.destination),
    ['198.51.100.0/24'],
  )
  compare('the other is there', await list(kernel, 'IPv4'), ['unicast 203.0.113.0/24 out - 0'])

  const local = await kernel.list({ family: 'IPv4', table: 255 }, signal)
  compare(
    'the table of local addresses',
    local
      .map(text)
      .filter((line) => line.startsWith('local'))
      .sort(),
    judgedRoutes('IPv4', 255).filter((line) => line.startsWith('local')),
  )
}
