/** What NetlinkRoute hears of others' doings, and what it reads for that. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { InterfaceAddress, LinkLoss } from '../../src/kernel/route/interface-address.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { AddressWatcher } from '../../src/kernel/route/watch-addresses.ts'
import { ownNamespace } from '../support/namespace.ts'
import { iproute, until } from '../uml/route-script.ts'

ownNamespace(import.meta.url)

const route = new NetlinkRoute()
const { signal } = new AbortController()
const device = 'kube-ipvs0'

const batch = (lines: readonly string[]): void =>
  void execFileSync('ip', ['-batch', '-'], { input: lines.map((line) => `${line}\n`).join('') })

const fresh = (): void => {
  iproute(`link add ${device} type bridge`)
  // Without the address that the kernel gives what comes up.
  iproute(`link set ${device} addrgenmode none`)
  iproute(`link set ${device} up`)
}
t.afterEach(() => {
  for (const name of [device, 'other', 'more'])
    if (new RegExp(` ${name}[:@]`).test(iproute('link'))) iproute(`link del ${name}`)
})

const told = async (until: AbortSignal): Promise<LinkLoss[]> => {
  const losses: LinkLoss[] = []
  await route.watchLink(device, (loss) => losses.push(loss), until)
  return losses
}
/** Events that were caused before this are told when it ends. */
const heard = (): Promise<void> => sleep(100)

t.test('what an interface loses', async (t) => {
  const stop = new AbortController()
  const losses = await told(stop.signal)
  fresh()
  batch(['192.0.2.1/32', '192.0.2.2/24', '2001:db8::1/128'].map((address) => `addr add ${address} dev ${device}`))
  iproute('link add other type bridge')
  iproute('addr add 192.0.2.1/32 dev other')
  iproute('addr del 192.0.2.1/32 dev other')
  iproute(`link set ${device} mtu 1400`)
  await heard()
  t.same(losses, [], 'of an interface that came later: nothing that came, nothing of others')

  batch(['192.0.2.1/32', '192.0.2.2/24'].map((address) => `addr del ${address} dev ${device}`))
  await until(() => losses.length > 0)
  await heard()
  t.same(
    losses.splice(0).flatMap((loss) => (loss.kind === 'addresses' ? loss.ips : [])),
    ['192.0.2.1', '192.0.2.2'],
  )

  iproute(`link set ${device} down`)
  await until(() => losses.length > 1)
  t.same(losses.splice(0), [{ kind: 'addresses', ips: ['2001:db8::1'] }, { kind: 'down' }])
  iproute(`link set ${device} mtu 1300`)
  iproute(`link set ${device} up`)
  await heard()
  t.same(losses.splice(0), [], 'it is told once')

  iproute(`link set ${device} down`)
  iproute(`link set ${device} name more`)
  await until(() => losses.some(({ kind }) => kind === 'link'))
  t.same(losses.splice(0).at(-1), { kind: 'link' }, 'another name')
  iproute('addr add 192.0.2.9/32 dev more')
  iproute('addr del 192.0.2.9/32 dev more')
  iproute('link del more')
  await heard()
  t.same(losses.splice(0), [], 'what has another name is another interface')

  fresh()
  await heard()
  losses.splice(0)
  iproute(`link del ${device}`)
  await until(() => losses.length > 0)
  t.same(losses.splice(0), [{ kind: 'link' }], 'one that came again')

  stop.abort()
  fresh()
  iproute(`link del ${device}`)
  await heard()
  t.same(losses, [], 'nothing after the abort')
})

t.test('an interface that leaves a bridge is still there', async (t) => {
  const stop = new AbortController()
  iproute('link add other type bridge')
  iproute(`link add ${device} type veth peer name more`)
  iproute(`link set ${device} up`)
  const losses = await told(stop.signal)
  iproute(`link set ${device} master other`)
  iproute(`link set ${device} nomaster`)
  await heard()
  t.same(losses, [])
  stop.abort()
})

t.test('more events than can wait', async (t) => {
  fresh()
  const stop = new AbortController()
  const losses = await told(stop.signal)
  const lists: (readonly InterfaceAddress[])[] = []
  await route.watchAddresses((list) => lists.push(list), stop.signal)
  // Nothing is read meanwhile, because execFileSync blocks this process.
  const addresses = Array.from(
    { length: 12_000 },
    (_, i) => `10.${i >> 16}.${(i >> 8) & 0xff}.${i & 0xff}/32 dev ${device}`,
  )
  batch(addresses.map((address) => `addr add ${address}`))
  await until(() => losses.length > 0)
  t.same(losses, [{ kind: 'unknown' }])
  t.ok(
    await until(() => lists.at(-1)?.filter(({ ip }) => ip.startsWith('10.')).length === addresses.length),
    'the list comes out right',
  )
  stop.abort()
})

t.test('an interface that does not count', async (t) => {
  fresh()
  iproute(`addr add 192.0.2.1/32 dev ${device}`)
  iproute('link add other type bridge')
  iproute('addr add 192.0.2.2/32 dev other')
  const reads: string[] = []
  const all = async () => {
    reads.push('all')
    const addresses = await route.listAddresses(signal)
    return new Map(
      (await route.listLinks(signal)).map((link) => [link, addresses.filter(({ index }) => index === link.index)]),
    )
  }
  const linkOf = async (index: number) => (await route.listLinks(signal)).find((link) => link.index === index)
  const addressesOf = async ({ name }: { readonly name: string }) => {
    reads.push(name)
    return (await route.listAddresses(signal)).filter((address) => address.interface === name)
  }
  const stop = new AbortController()
  const lists: string[][] = []
  const texts = (list: readonly InterfaceAddress[]): string[] =>
    list
      .map((address) => `${address.interface} ${address.ip}`)
      .filter((text) => !/ fe80:|^lo /.test(text))
      .sort()
  const watcher = new AddressWatcher({ all, linkOf, addressesOf }, (list) => lists.push(texts(list)), stop.signal, {
    ignore: device,
  })
  t.same(texts(await watcher.start()), ['other 192.0.2.2'])
  await heard()
  reads.splice(0)

  batch(Array.from({ length: 500 }, (_, i) => `addr add 10.0.${i >> 8}.${i & 0xff}/32 dev ${device}`))
  iproute(`link set ${device} mtu 1400`)
  await heard()
  t.same([lists, reads], [[], []], 'nothing of it is told, and nothing read for it')

  iproute('addr add 192.0.2.3/32 dev other')
  await until(() => lists.length > 0)
  t.same(lists.splice(0), [['other 192.0.2.2', 'other 192.0.2.3']])
  t.same(reads.splice(0), ['other'], 'for another interface only that one is read')

  iproute(`link del ${device}`)
  await heard()
  fresh()
  iproute(`addr add 192.0.2.1/32 dev ${device}`)
  await heard()
  t.same([lists, reads], [[], []], 'it may go and come again')

  iproute(`link set ${device} down`)
  iproute(`link set ${device} name more`)
  t.ok(await until(() => lists.length > 0))
  t.same(lists.splice(0).at(-1), ['more 192.0.2.1', 'other 192.0.2.2', 'other 192.0.2.3'], 'renamed it counts')
  iproute(`link set more name ${device}`)
  t.ok(await until(() => lists.length > 0))
  t.same(lists.splice(0).at(-1), ['other 192.0.2.2', 'other 192.0.2.3'], 'named back it does not')
  stop.abort()
})

t.test('an event wakes the process, and no timer', async (t) => {
  iproute('link add other type bridge')
  const stop = new AbortController()
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const seen: number[] = []
  await route.watchAddresses(() => seen.push(performance.now()), stop.signal)
  const delays: number[] = []
  await heard()
  t.equal(timers(), before, 'while nothing happens')
  for (let i = 0; i < 5; i++) {
    await sleep(60)
    const began = performance.now()
    iproute(`addr add 192.0.2.${i}/32 dev other`)
    const count = i + 1
    await until(() => seen.length >= count)
    delays.push((seen.at(-1) ?? Number.NaN) - began)
  }
  t.equal(seen.length, 5)
  t.comment(`${delays.map(Math.round).join(', ')} ms, the program ip included`)
  stop.abort()
})
