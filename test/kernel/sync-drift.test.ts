/** Whatever somebody else does to our tables is put right at once, and once; what they do to theirs is none of our business. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import type { DriftReason } from '../../src/sync/events.ts'
import { ownNamespace } from '../support/namespace.ts'
import { cluster, drop, nodeAddresses, plain, withEndpoints } from './sync-cluster.ts'
import { dumpTable, listTable } from './sync-dump.ts'
import { RunningProxy, until } from './sync-proxy.ts'
import { never, Rig } from './sync-rig.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())
const nft = (script: string): void => {
  execFileSync('nft', ['-f', '-'], { input: script })
}
const look = async (): Promise<unknown> => [await dumpTable(kernel, 'ip'), await dumpTable(kernel, 'ip6')]
const listings = (): unknown => [listTable('ip'), listTable('ip6')]
const is = async (wanted: unknown): Promise<boolean> => isDeepStrictEqual(await look(), wanted)
/** Policies and flags show only in what nft lists. */
const isAll = async (wanted: unknown, listed: unknown): Promise<boolean> =>
  (await is(wanted)) && isDeepStrictEqual(listings(), listed)

const firstRule = (family: string, chain: string): string => {
  const text = execFileSync('nft', ['-a', 'list', 'chain', family, 'weir', chain], { encoding: 'utf8' })
  return /# handle (\d+)\n/.exec(text.slice(text.indexOf('{ # handle') + 12))?.[1] ?? ''
}

interface Sabotage {
  readonly what: string
  readonly script: () => string
  readonly reason?: DriftReason
}

const sabotages: readonly Sabotage[] = [
  { what: 'an element deleted', script: () => 'delete element ip weir services { 10.96.0.1 . tcp . 80 }' },
  {
    what: 'an element added',
    script: () => 'add element ip weir endpoints { 10.96.0.1 . tcp . 80 . 3 : 6.6.6.6 . 6 }',
  },
  {
    what: 'an element replaced',
    script: () =>
      'delete element ip weir endpoints { 10.96.0.1 . tcp . 80 . 0 }\nadd element ip weir endpoints { 10.96.0.1 . tcp . 80 . 0 : 6.6.6.6 . 6 }',
  },
  { what: 'a verdict that is none of ours', script: () => 'add element ip weir nodeports { udp . 53 : accept }' },
  {
    what: 'a verdict that is none of ours in the place of ours',
    script: () =>
      'delete element ip weir nodeports { tcp . 30005 }\nadd element ip weir nodeports { tcp . 30005 : accept }',
  },
  {
    what: 'a protocol that is none of ours',
    script: () => 'add element ip weir services { 10.96.0.1 . icmp . 1 : drop }',
  },
  {
    what: 'a range that is no network',
    script: () => 'add element ip weir allowed-sources { 203.0.113.1 . tcp . 80 . 10.0.0.1-10.0.0.6 }',
  },
  { what: 'an interval deleted', script: () => 'delete element ip weir service-cidrs { 10.96.0.0/16 }' },
  { what: 'an interval added', script: () => 'add element ip6 weir service-cidrs { fd77::/16 }' },
  {
    what: 'an interval made smaller',
    script: () =>
      'delete element ip weir service-cidrs { 10.96.0.0/16 }\nadd element ip weir service-cidrs { 10.96.0.0/20 }',
  },
  { what: 'a map emptied', script: () => 'flush map ip weir endpoints\nflush map ip6 weir services' },
  { what: 'a fixed chain emptied', script: () => 'flush chain ip weir services' },
  { what: 'a class chain emptied', script: () => 'flush chain ip weir random-upto4' },
  {
    what: 'a fixed rule replaced',
    script: () => `replace rule ip6 weir services handle ${firstRule('ip6', 'services')} accept`,
  },
  {
    what: 'a rule of a class replaced',
    script: () => `replace rule ip weir random-upto4 handle ${firstRule('ip', 'random-upto4')} accept`,
  },
  { what: 'a rule added in front', script: () => 'insert rule ip weir nat-prerouting accept' },
  { what: 'a base chain deleted', script: () => 'flush chain ip weir filter-input\ndelete chain ip weir filter-input' },
  { what: 'the policy of a chain changed', script: () => 'add chain ip weir filter-forward { policy drop; }' },
  { what: 'the table put to sleep', script: () => 'add table ip weir { flags dormant; }' },
  {
    what: 'a map deleted',
    script: () =>
      'flush chain ip weir service-endpoints-check\nflush map ip weir no-endpoint-services\ndelete map ip weir no-endpoint-services',
  },
  { what: 'the table deleted', script: () => 'delete table ip6 weir', reason: 'tableDeleted' },
  { what: 'everything deleted', script: () => 'flush ruleset', reason: 'tableDeleted' },
]

t.test('with the monitor', async (t) => {
  const running = await RunningProxy.start()
  t.teardown(() => running.stop())
  const wanted = await look()
  const listed = listings()

  for (const { what, script, reason = 'elementsChanged' } of sabotages) {
    const before = running.events.length
    nft(script())
    const ms = await until(() => isAll(wanted, listed), 3000)
    await sleep(200)
    const events = running.events.slice(before)
    const repairs = events.filter((event) => event.name === 'driftRepaired')
    t.ok(ms < 1000, `${what}: right again after ${ms.toFixed()} ms`)
    t.same(new Set(repairs.map((event) => event.reason)), new Set([reason]), `${what}: told as ${reason}`)
    const syncs = events.filter((event) => event.name === 'started').length
    t.ok(syncs <= 2, `${what}: ${syncs} syncs and no more`)
    t.same(
      events.filter((event) => event.name === 'failed'),
      [],
      `${what}: nothing failed`,
    )
  }

  await t.test('chains and maps that are none of ours', async (t) => {
    nft('add chain ip weir stranger { type filter hook input priority 5; policy drop; }\nadd chain ip weir lonely')
    await until(() => is(wanted), 4000)
    t.pass('are gone with the next tidying')
  })

  await t.test('what others do to their own tables', async (t) => {
    const before = running.events.length
    nft('add table ip other\nadd set ip other s { type ipv4_addr; }\nadd chain ip other c')
    for (let i = 0; i < 20; i++) nft(`add element ip other s { 10.0.0.${i} }\nadd rule ip other c accept`)
    nft('add table inet weir\nadd chain inet weir nat-prerouting\ndelete table inet weir')
    nft('delete table ip other')
    await sleep(300)
    t.same(running.events.slice(before), [], 'makes us do nothing at all')
  })

  await t.test('in the middle of changes', async (t) => {
    const before = running.events.length
    const random = [7, 3, 11, 0, 18, 14, 20, 21]
    for (let round = 0; round < 160; round++) {
      running.proxy.sink.changes(plain(20 + (round % 10), 1 + (round % 5)))
      const sabotage = round % 20 === 10 ? sabotages[random[Math.floor(round / 20)] ?? 0] : undefined
      // What it deletes may be gone already, together with its table: then there is nothing to do.
      if (sabotage !== undefined) t.doesNotThrow(() => nft(sabotage.script()), sabotage.what)
      await sleep(3)
    }
    for (let n = 20; n < 30; n++)
      running.proxy.sink.changes([drop(`ns/plain-${n}`), ...withEndpoints(`plain-${n}`, n, 0)])
    await until(() => is(wanted), 6000)
    await sleep(200)
    t.ok(await is(wanted), 'everything is right in the end')
    const events = running.events.slice(before)
    t.ok(events.filter((event) => event.name === 'driftRepaired').length >= 5)
    const syncs = events.length
    await sleep(300)
    t.equal(running.events.slice(before).length, syncs, 'and then there is peace')
  })
})

t.test('without the monitor, within the sync period', async (t) => {
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const rig = new Rig({ client: kernel, syncPeriodMs: 400 })
  rig.tracker.apply(cluster)
  rig.setAddresses(nodeAddresses)
  const stop = new AbortController()
  const running = rig.loop.run(stop.signal, never)
  await until(() => rig.of('applied').length >= 2)
  const wanted = await look()
  const listed = listings()
  for (const { what, script } of sabotages) {
    const before = rig.told.length
    nft(script())
    const ms = await until(() => isAll(wanted, listed), 3000)
    await until(() => rig.told.slice(before).some(({ name }) => name === 'driftRepaired'))
    t.ok(ms < 1500, `${what}: right again after ${ms.toFixed()} ms`)
    const reasons = rig.told.slice(before).flatMap((told) => (told.name === 'driftRepaired' ? [told.event.reason] : []))
    t.same(new Set(reasons), new Set(['periodic']))
  }
  const quiet = rig.of('started').length
  await sleep(1300)
  t.equal(rig.of('started').length, quiet, 'nobody writes: nothing is compared')
  stop.abort()
  await running
})

t.test('a change that meets a kernel which differs is refused, and leads to repair', async (t) => {
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const rig = new Rig({ client: kernel })
  rig.tracker.apply(cluster)
  await rig.mustSync()
  nft('delete element ip weir endpoints { 10.96.0.1 . tcp . 80 . 2 }')
  rig.apply(...withEndpoints('plain-1', 1, 2))
  const error = await rig.sync()
  t.match(error, { code: 'notFound' })
  rig.apply(...withEndpoints('sticky', 2, 2))
  t.equal(await rig.sync(), undefined)
  t.match(rig.of('applied').slice(-2), [
    { family: 'IPv4', kind: 'full' },
    { family: 'IPv6', kind: 'partial' },
  ])
  const repaired = await look()
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const fresh = new Rig({ client: kernel })
  fresh.tracker.apply([...cluster, ...withEndpoints('plain-1', 1, 2), ...withEndpoints('sticky', 2, 2)])
  await fresh.mustSync()
  await rig.tidy()
  t.same(await look(), repaired)
})

t.test('so does a set that somebody deleted while nothing referred to it', async (t) => {
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const rig = new Rig({ client: kernel })
  const services = cluster.filter(({ kind }) => kind === 'service' || kind === 'slice')
  rig.tracker.apply(plain(1))
  await rig.mustSync()
  nft('delete map ip weir nodeport-endpoints')
  rig.apply(...services)
  t.match(await rig.sync(), { code: 'notFound' })
  t.equal(await rig.sync(), undefined)
  await rig.tidy()
  const repaired = await look()
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const fresh = new Rig({ client: kernel })
  fresh.tracker.apply([...plain(1), ...services])
  await fresh.mustSync()
  t.same(await look(), repaired)
})
