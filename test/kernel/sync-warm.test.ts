/** A second instance of the program over what a first one left: it writes the difference, and nothing if there is none. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import type { NftFamily } from '../../src/backends/nftables/schema.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { families } from '../../src/model/ip.ts'
import { service } from '../property/track-objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { cluster, nodeAddresses, plain, put, withEndpoints } from './sync-cluster.ts'
import { dumpTable, listTable } from './sync-dump.ts'
import { messagesIn, wireElements } from './sync-expected.ts'
import { TestClient } from './sync-faults.ts'
import { never, Rig } from './sync-rig.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())
const nft = (script: string): void => {
  execFileSync('nft', ['-f', '-'], { input: script })
}
const list = (...what: readonly string[]): string => execFileSync('nft', ['-n', 'list', ...what], { encoding: 'utf8' })
const nftFamilies: readonly NftFamily[] = ['ip', 'ip6']
const wipe = async (): Promise<void> => {
  for (const family of nftFamilies) await kernel.deleteTable(family, 'weir', never)
}
const look = async (): Promise<unknown> => [
  await dumpTable(kernel, 'ip'),
  await dumpTable(kernel, 'ip6'),
  ...nftFamilies.map(listTable),
]

interface Start {
  readonly rig: Rig
  readonly client: TestClient
  /** Elements that its first sync wrote, both families. */
  readonly wire: readonly string[]
}

/** What a new process does with these objects. */
const start = async (objects: readonly ModelChange[]): Promise<Start> => {
  const client = new TestClient(kernel)
  client.begin()
  const rig = new Rig({ client })
  rig.tracker.apply(objects)
  rig.setAddresses(nodeAddresses)
  await rig.mustSync()
  const wire = wireElements(client.batches)
  await rig.tidy()
  return { rig, client, wire }
}

/** The table as a start over nothing makes it. */
const wantedFor = async (objects: readonly ModelChange[]): Promise<unknown> => {
  await wipe()
  await start(objects)
  return await look()
}

const summaries = ({ rig }: Start) => rig.of('applied').map(({ kind, added, removed }) => ({ kind, added, removed }))
const nothing = families.map(() => ({ kind: 'full', added: 0, removed: 0 }))

t.test('over an unchanged cluster no element is touched', async (t) => {
  const wanted = await wantedFor(cluster)
  const second = await start(cluster)
  t.same(summaries(second), nothing)
  t.same(second.wire, [])
  t.same(await look(), wanted)
})

t.test('over a changed one only the difference is written', async (t) => {
  const next = [...cluster, ...withEndpoints('plain-1', 1, 4), ...plain(9, 1)]
  const wanted = await wantedFor(next)
  await wipe()
  await start(cluster)
  const second = await start(next)
  const perFamily = [
    'add cluster-ips',
    'add endpoints',
    'add endpoints',
    'add hairpin-connections',
    'add services',
  ].sort()
  const written = second.wire.map((each) => each.split(' ').slice(0, 2).join(' ')).sort()
  t.same(written, [...perFamily, ...perFamily].sort(), 'an endpoint, and a Service with one')
  t.same(await look(), wanted)
})

t.test('what clients are remembered with outlives the restart, if it still stands', async (t) => {
  await wipe()
  await start(cluster)
  const entry = (server: string, endpoint: string) => `198.51.100.7 . ${server} timeout 1h : ${endpoint}`
  const kept = '198.51.100.7 . 10.96.0.2 . 6 . 80'
  const left = '198.51.100.8 . 10.96.0.2 . 6 . 80'
  const other = '198.51.100.9 . 10.96.0.1 . 6 . 80'
  nft(`add element ip weir affinity { ${entry('10.96.0.2 . tcp . 80', '10.0.2.2 . 8080')} }
add element ip weir affinity { 198.51.100.8 . 10.96.0.2 . tcp . 80 timeout 1h : 10.0.2.77 . 8080 }
add element ip weir affinity { 198.51.100.9 . 10.96.0.1 . tcp . 80 timeout 1h : 10.0.1.1 . 8080 }`)
  await start(cluster)
  const text = list('map', 'ip', 'weir', 'affinity')
  t.ok(text.includes(kept), 'kept')
  t.notOk(text.includes(left), 'its endpoint is none of the Service')
  t.notOk(text.includes(other), 'its Service has no affinity')
})

const garbage: readonly (readonly [what: string, script: string])[] = [
  [
    'elements of nobody',
    'add element ip weir services { 9.9.9.9 . tcp . 9 : drop }\nadd element ip weir cluster-ips { 9.9.9.9 }',
  ],
  [
    'other values',
    'delete element ip weir services { 10.96.0.1 . tcp . 80 }\nadd element ip weir services { 10.96.0.1 . tcp . 80 : drop }',
  ],
  [
    'another comment',
    'delete element ip weir services { 10.96.0.1 . tcp . 80 }\nadd element ip weir services { 10.96.0.1 . tcp . 80 comment "me" : goto random-upto4 }',
  ],
  [
    'elements that cannot be read',
    'add element ip weir services { 10.96.0.1 . icmp . 80 : drop }\nadd element ip weir no-endpoint-nodeports { tcp . 1 : accept }',
  ],
  [
    'chains of nobody',
    'add chain ip weir a\nadd chain ip weir b { type filter hook input priority 0; policy drop; }\nadd rule ip weir b jump a\nadd rule ip weir a drop',
  ],
  [
    'sets of nobody',
    'add set ip weir mine { type ipv4_addr; }\nadd map ip weir yours { type inet_service : verdict; }\nadd chain ip weir theirs\nadd rule ip weir theirs ip saddr @mine tcp dport vmap @yours\nadd element ip weir yours { 1 : goto random-upto4-sticky }',
  ],
  ['rules of nobody', 'insert rule ip weir services accept\nadd rule ip weir random-upto4 drop'],
  ['a missing base chain', 'flush chain ip weir filter-input\ndelete chain ip weir filter-input'],
  [
    'a missing class chain',
    'flush map ip weir services\nflush map ip weir nodeports\nflush chain ip weir split-random-upto4-cluster-upto4\nflush chain ip weir random-upto4\ndelete chain ip weir random-upto4',
  ],
  [
    'half a set',
    'delete element ip weir endpoints { 10.96.0.1 . tcp . 80 . 1 }\ndelete element ip weir endpoints { 10.96.0.5 . tcp . 80 . 0 }',
  ],
  ['a missing set', 'flush chain ip weir service-endpoints-check\ndelete map ip weir no-endpoint-services'],
  ['old markers', 'add chain ip weir layout-000000000000\nadd chain ip weir layout-aaaaaaaaaaaa'],
  ['the policy of a base chain', 'add chain ip weir filter-output { policy drop; }'],
  ['a sleeping table', 'add table ip weir { flags dormant; }'],
  [
    'networks that overlap ours',
    'flush set ip weir service-cidrs\nadd element ip weir service-cidrs { 10.96.128.0/17, 10.0.0.0/16 }',
  ],
]

t.test('garbage is cleared away', async (t) => {
  const wanted = await wantedFor(cluster)
  for (const [what, script] of garbage) {
    nft(script)
    t.notSame(await look(), wanted, `${what}: there it is`)
    await start(cluster)
    t.same(await look(), wanted, what)
  }
})

t.test('a table of our name with sets of other types is replaced as a whole', async (t) => {
  const wanted = await wantedFor(cluster)
  const others = [
    'set cluster-ips { type ipv6_addr; }',
    'set cluster-ips { type ipv4_addr; flags interval; }',
    'set cluster-ips { type ipv4_addr; flags timeout; }',
    'map cluster-ips { type ipv4_addr : verdict; }',
    'map services { type ipv4_addr . inet_proto . inet_service : ipv4_addr; }',
    'map endpoints { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }',
    'map affinity { type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; size 16; flags timeout; }',
  ]
  for (const declaration of others) {
    await wipe()
    nft(`table ip weir {\n${declaration}\nchain nat-prerouting { type nat hook prerouting priority -100; }\n}\n`)
    await start(cluster)
    t.same(await look(), wanted, declaration)
  }
})

t.test('so is one that only the kernel can tell from ours', async (t) => {
  const wanted = await wantedFor(cluster)
  const others = [
    'set cluster-ips { type mark; }',
    'chain nat-prerouting { type nat hook prerouting priority -99; }',
    'chain nat-output { type filter hook output priority -100; }',
    'chain filter-input { }',
    'chain services { type filter hook input priority 0; }',
  ]
  for (const declaration of others) {
    await wipe()
    nft(`table ip weir {\n${declaration}\n}\n`)
    const rig = new Rig({ client: kernel })
    rig.tracker.apply(cluster)
    rig.setAddresses(nodeAddresses)
    t.match(await rig.sync(), { op: 'nft -f -' }, `${declaration}: refused`)
    for (let tries = 0; tries < 2; tries++) await rig.sync()
    await rig.tidy()
    t.same(await look(), wanted, `${declaration}: replaced`)
    t.same(rig.of('problem'), [], 'and no Service is blamed')
  }
})

t.test('a class chain that was left unused is written again before it is used', async (t) => {
  await wipe()
  await start(cluster)
  nft('add chain ip weir sh-upto4\nadd rule ip weir sh-upto4 drop')
  const client = new TestClient(kernel)
  const rig = new Rig({ client })
  rig.tracker.apply(cluster)
  rig.setAddresses(nodeAddresses)
  await rig.mustSync()
  const hashed = put({
    ...service('ns/plain-1'),
    clusterIPs: plain(1).flatMap((change) => (change.kind === 'service' ? (change.value?.clusterIPs ?? []) : [])),
    scheduling: { scheduler: 'sh', flags: [], weights: undefined },
  })
  rig.apply(hashed)
  await rig.mustSync()
  await rig.tidy()
  const incremental = await look()
  t.same(incremental, await wantedFor([...cluster, hashed]))
})

t.test('the tables of others stay as they are', async (t) => {
  await wipe()
  const others = `table ip kube-proxy { map services { type ipv4_addr . inet_proto . inet_service : verdict; }
chain c { }
}
table inet weir { set cluster-ips { type ipv4_addr; elements = { 1.1.1.1 } }
}
table ip nat { chain POSTROUTING { type nat hook postrouting priority 100; masquerade; }
}
table bridge weir { chain x { }
}`
  nft(others)
  const before = [
    list('table', 'ip', 'kube-proxy'),
    list('table', 'inet', 'weir'),
    list('table', 'ip', 'nat'),
    list('table', 'bridge', 'weir'),
  ]
  const { rig } = await start(cluster)
  rig.apply(...plain(11), ...withEndpoints('plain-1', 1, 0))
  await rig.mustSync()
  await rig.tidy()
  for (const backend of rig.backends) await backend.cleanup(never)
  const after = [
    list('table', 'ip', 'kube-proxy'),
    list('table', 'inet', 'weir'),
    list('table', 'ip', 'nat'),
    list('table', 'bridge', 'weir'),
  ]
  t.same(after, before)
  t.equal(await dumpTable(kernel, 'ip'), undefined)
  t.equal(await dumpTable(kernel, 'ip6'), undefined)
  for (const backend of rig.backends) await backend.cleanup(never)
})

t.test('one endpoint more is one message of one element', async (t) => {
  await wipe()
  const { rig, client } = await start([...cluster, ...Array.from({ length: 300 }, (_, i) => plain(i % 100, 3)).flat()])
  rig.apply(...withEndpoints('plain-1', 1, 4))
  client.begin()
  await rig.mustSync()
  t.same(client.batches.map(messagesIn), [1, 1])
  t.equal(wireElements(client.batches).length, 2)
  t.equal(client.scripts + client.dumps, 0)
})
