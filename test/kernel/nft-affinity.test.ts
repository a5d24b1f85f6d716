/**
 * Session affinity out of expressions, with real connections, in the two ways there are.
 *
 * In registers: the packet that picks an endpoint also writes it down, before translation. nft (1.0.6, and newer ones by
 * their source) aborts when it lists a rule that uses a map's value as part of a key or as an entry's data.
 *
 * After translation: a later nat hook writes down what the connection was translated to. Everything comes from the
 * packet and its connection, so nft lists it.
 */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { Batch } from '../../src/kernel/nft/batch.ts'
import {
  ct,
  dnat,
  drop,
  dynset,
  type Expr,
  type IPFamily,
  loadDaddr,
  loadDport,
  loadSaddr,
  mapTo,
  member,
  meta,
  numgen,
  register,
  vmap,
} from '../../src/kernel/nft/expr.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { type IP, writeIP } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const nft = openNftClient()
const scene = await Scene.create()
t.teardown(async () => {
  nft.close()
  await scene.close()
})
const client = await scene.addHost('client', { ipv4: '198.51.100.7', ipv6: '2001:db8:1::7' })
for (const n of [1, 2, 3]) {
  const pod = await scene.addHost(`pod-${n}`, { ipv4: `10.244.0.${n}`, ipv6: `2001:db8:2::${n}` })
  await pod.listen('TCP', 8080)
}

const families = {
  ip: { server: '10.96.0.1', pod: (n: number) => `10.244.0.${n}`, words: 1 },
  ip6: { server: '2001:db8:9::1', pod: (n: number) => `2001:db8:2::${n}`, words: 4 },
} as const
const timeoutMs = 60_000

const slotsOf = (family: IPFamily) => {
  const { words } = families[family]
  return {
    client: register(0),
    server: register(words),
    protocol: register(2 * words),
    port: register(2 * words + 1),
    target: register(2 * words + 2),
    targetPort: register(3 * words + 2),
  } as const
}

const declarations = (family: IPFamily): string => `
  map endpoints { typeof ${family} daddr . meta l4proto . th dport . numgen random mod 65536 : ${family} daddr . th dport; }
  map affinity { typeof ${family} saddr . ${family} daddr . meta l4proto . th dport : ${family} daddr . th dport; size 1024; flags dynamic,timeout; }
  set valid { typeof ${family} daddr . meta l4proto . th dport . ${family} daddr . th dport; }
  map sticky { typeof ${family} daddr . meta l4proto . th dport : verdict; }
`

const writeServer = (batch: Batch, family: IPFamily, at: number): number => {
  const length = 4 * families[family].words
  writeIP(families[family].server as IP, batch.bytes, at)
  batch.bytes[at + length] = 6
  batch.view.setUint16(at + length + 4, 80)
  return at + length + 8
}

const writeTarget = (batch: Batch, family: IPFamily, at: number, pod: number): void => {
  writeIP(families[family].pod(pod) as IP, batch.bytes, at)
  batch.view.setUint16(at + 4 * families[family].words, 8080)
}

const endpoint = (batch: Batch, op: 'add' | 'delete', family: IPFamily, slot: number, pod: number): void => {
  const length = 4 * families[family].words
  batch.elements(op, 'endpoints')
  const slotAt = writeServer(batch, family, batch.element(length + 12))
  batch.view.setUint32(slotAt, slot, true)
  writeTarget(batch, family, batch.data(length + 4), pod)
  batch.endElement()
}

const valid = (batch: Batch, op: 'add' | 'delete', family: IPFamily, pod: number): void => {
  batch.elements(op, 'valid')
  writeTarget(batch, family, writeServer(batch, family, batch.element(8 * families[family].words + 12)), pod)
  batch.endElement()
}

/** Names of the pods that `count` connections got to. */
const ask = async (family: IPFamily, count: number, timeoutForAll = 5_000): Promise<readonly string[]> => {
  const address = families[family].server
  const outcomes = await client.connect({ address, port: 80, count, timeoutMs: timeoutForAll })
  return outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind))
}

const podNumber = (name: string | undefined): number => Number(name?.replace('pod-', ''))

/** Sticks to one pod, until that pod is no longer valid; then to another. */
const proveAffinity = async (t: Assertions, family: IPFamily): Promise<void> => {
  const first = await ask(family, 20)
  t.equal(new Set(first).size, 1, `all at ${first[0]}`)
  t.match(first[0], /^pod-[123]$/)
  const gone = podNumber(first[0])
  const entries: string[] = []
  await nft.dumpElements(
    { family, name: 't' },
    'affinity',
    (_key, _end, data) => entries.push(data instanceof Uint8Array ? Buffer.from(data).toString('hex') : ''),
    signal,
  )
  t.equal(entries.length, 1)

  const batch = new Batch(family, 't')
  valid(batch, 'delete', family, gone)
  // The last slot moves into the freed one.
  for (const slot of [0, 1, 2]) endpoint(batch, 'delete', family, slot, slot + 1)
  const left = [1, 2, 3].filter((pod) => pod !== gone)
  for (const slot of [0, 1, 2]) endpoint(batch, 'add', family, slot, left[slot % 2] ?? 0)
  await nft.commit(batch, signal)

  const second = await ask(family, 20)
  t.equal(new Set(second).size, 1, `all at ${second[0]}`)
  t.match(second[0], /^pod-[123]$/)
  t.not(podNumber(second[0]), gone)
}

type Assertions = Pick<typeof t, 'equal' | 'match' | 'not'>

const fill = (batch: Batch, family: IPFamily): void => {
  for (const pod of [1, 2, 3]) {
    endpoint(batch, 'add', family, pod - 1, pod)
    valid(batch, 'add', family, pod)
  }
}

for (const family of ['ip', 'ip6'] as const) {
  const { client: from, server, protocol, port, target, targetPort } = slotsOf(family)
  const atServer = `${family} daddr ${families[family].server}`

  t.test(`${family}: in registers`, async (t) => {
    await nft.runText(
      `table ${family} t { ${declarations(family)}
  chain pick { }
  chain pre { type nat hook prerouting priority -100; ${atServer} goto pick; }
}\n`,
      signal,
    )
    const connection: readonly Expr[] = [
      loadSaddr(family, from),
      loadDaddr(family, server),
      meta('l4proto', protocol),
      loadDport(port),
    ]
    const batch = new Batch(family, 't')
    batch.addRule('pick', [
      ...connection,
      mapTo('affinity', from, target),
      member('valid', server),
      dynset('update', 'affinity', from, target, timeoutMs),
      dnat(family, target, targetPort),
    ])
    batch.addRule('pick', [
      ...connection,
      numgen('random', 3, target),
      mapTo('endpoints', server, target),
      // An update renews an entry but keeps its data, so a stale one goes first; the kernel wants data here as well.
      dynset('delete', 'affinity', from, target),
      dynset('update', 'affinity', from, target, timeoutMs),
      dnat(family, target, targetPort),
    ])
    fill(batch, family)
    await nft.commit(batch, signal)
    await proveAffinity(t, family)
    await nft.deleteTable(family, 't', signal)
  })

  t.test(`${family}: after translation`, async (t) => {
    const key = `${family} daddr . meta l4proto . th dport`
    await nft.runText(
      `table ${family} t { ${declarations(family)}
  chain remember { }
  chain remember-60s { }
  chain pick {
    dnat to ${family} saddr . ${key} map @affinity
    dnat to ${key} . numgen random mod 3 map @endpoints
  }
  chain pre { type nat hook prerouting priority -100; ${atServer} goto pick; }
  chain post { type nat hook postrouting priority 99; ct status dnat goto remember; }
  chain to-node { type nat hook input priority 99; ct status dnat goto remember; }
}\n`,
      signal,
    )
    const original = [
      ct(`${family} daddr`, server, 'original'),
      meta('l4proto', protocol),
      ct('proto-dst', port, 'original'),
    ]
    const translated = [loadDaddr(family, target), loadDport(targetPort)]
    const whole = [ct(`${family} saddr`, from, 'original'), ...original, ...translated]
    const batch = new Batch(family, 't')
    batch.addRule('remember', [...original, vmap('sticky', server)])
    batch.addRule(
      'remember-60s',
      [...whole, member('valid', server, true), dynset('delete', 'affinity', from, target), drop],
      'its endpoint is gone: the client asks again',
    )
    batch.addRule('remember-60s', [...whole, dynset('update', 'affinity', from, target, timeoutMs)])
    batch.elements('add', 'sticky')
    writeServer(batch, family, batch.element(4 * families[family].words + 8))
    batch.verdict({ kind: 'goto', chain: 'remember-60s' })
    batch.endElement()
    fill(batch, family)
    await nft.commit(batch, signal)
    await proveAffinity(t, family)

    const listing = execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })
    const tuple = `ct original ${family} saddr . ct original ${family} daddr . meta l4proto . ct original proto-dst`
    t.match(listing, `update @affinity { ${tuple} timeout 1m : ${family} daddr . th dport }`)
    t.match(listing, `delete @affinity { ${tuple} : ${family} daddr . th dport } drop`)
    t.match(listing, `ct original ${family} daddr . meta l4proto . ct original proto-dst vmap @sticky`)
    t.match(listing, `dnat ${family} to ${family} saddr . ${key} map @affinity`)
    await nft.deleteTable(family, 't', signal)
  })
}
