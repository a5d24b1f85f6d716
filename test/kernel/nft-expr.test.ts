/**
 * Every expression against nft's own: the same rule as text through nft and as expressions through us must read back
 * from the kernel as the same bytes, and nft must list ours as the text.
 */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { Batch } from '../../src/kernel/nft/batch.ts'
import * as expr from '../../src/kernel/nft/expr.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const client = openNftClient()
t.teardown(() => client.close())

const {
  accept,
  bitwise,
  cmp,
  counter,
  ct,
  ctState,
  ctStatus,
  dnat,
  drop,
  dynset,
  fibType,
  goTo,
  hostU32,
  immediate,
  interfaceName,
  jhash,
  jump,
  loadDaddr,
  loadDport,
  loadSaddr,
  loadSport,
  mapTo,
  masquerade,
  member,
  meta,
  metaSet,
  netU16,
  numgen,
  payload,
  reject,
  rejectPort,
  returnFromChain,
  RTN_LOCAL,
  register: r,
  snat,
  vmap,
} = expr

interface Case {
  /** A rule as nft is given it, and lists it unless `listed` differs. */
  readonly text: string
  readonly listed?: string
  readonly exprs: readonly expr.Expr[]
  readonly chain?: 'nat' | 'post' | 'filter'
  /** nft cannot read it, or takes other registers: compare the listing alone. */
  readonly onlyListed?: true
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.of(...values)
const zero = (length: number): Uint8Array => new Uint8Array(length)

const casesOf = (family: expr.IPFamily): readonly Case[] => {
  const four = family === 'ip'
  const words = four ? 1 : 4
  const slots = [0, words, 2 * words, 2 * words + 1, 2 * words + 2, 3 * words + 2] as const
  const [client_, server, protocol, port, target, targetPort] = [
    r(slots[0]),
    r(slots[1]),
    r(slots[2]),
    r(slots[3]),
    r(slots[4]),
    r(slots[5]),
  ]
  const loadServer = (from: number): readonly expr.Expr[] => [
    loadDaddr(family, r(from)),
    meta('l4proto', r(from + words)),
    loadDport(r(from + words + 1)),
  ]
  const address = four ? bytes(10, 96, 0, 1) : bytes(0xfd, 0, ...zero(13), 1)
  const addressText = four ? '10.96.0.1' : 'fd00::1'
  const stateCheck = (bits: number): readonly expr.Expr[] => [
    ct('state', r(0)),
    bitwise(r(0), r(0), hostU32(bits), hostU32(0)),
    cmp('neq', r(0), hostU32(0)),
  ]
  return [
    {
      text: `${family} saddr ${addressText} drop`,
      exprs: [loadSaddr(family, r(0)), cmp('eq', r(0), address), drop],
    },
    {
      text: `${family} daddr != ${addressText} accept`,
      exprs: [loadDaddr(family, r(0)), cmp('neq', r(0), address), accept],
    },
    {
      text: 'tcp dport 443 return',
      exprs: [
        meta('l4proto', r(0)),
        cmp('eq', r(0), bytes(6)),
        loadDport(r(0)),
        cmp('eq', r(0), netU16(443)),
        returnFromChain,
      ],
    },
    {
      text: 'udp sport > 1023 counter packets 0 bytes 0',
      exprs: [
        meta('l4proto', r(0)),
        cmp('eq', r(0), bytes(17)),
        loadSport(r(0)),
        cmp('gt', r(0), netU16(1023)),
        counter,
      ],
    },
    {
      text: 'meta l4proto sctp jump other',
      exprs: [meta('l4proto', r(0)), cmp('eq', r(0), bytes(132)), jump('other')],
    },
    {
      text: 'iifname "eth0" goto other',
      exprs: [meta('iifname', r(0)), cmp('eq', r(0), interfaceName('eth0')), goTo('other')],
    },
    {
      text: 'iifname "cali*" accept',
      exprs: [meta('iifname', r(0)), cmp('eq', r(0), interfaceName('cali', 'prefix')), accept],
    },
    {
      text: 'oifname != "eth0" accept',
      chain: 'post',
      exprs: [meta('oifname', r(0)), cmp('neq', r(0), interfaceName('eth0')), accept],
    },
    { text: 'iif "lo" accept', exprs: [meta('iif', r(0)), cmp('eq', r(0), hostU32(1)), accept] },
    { text: 'meta pkttype host', exprs: [meta('pkttype', r(0)), cmp('eq', r(0), bytes(0))] },
    {
      text: 'meta mark set meta mark or 0x4000',
      listed: 'meta mark set meta mark | 0x00004000',
      exprs: [meta('mark', r(0)), bitwise(r(0), r(0), hostU32(0xffffbfff), hostU32(0x4000)), metaSet('mark', r(0))],
    },
    {
      text: 'meta mark & 0x00004000 == 0x00000000 return',
      exprs: [
        meta('mark', r(0)),
        bitwise(r(0), r(0), hostU32(0x4000), hostU32(0)),
        cmp('eq', r(0), hostU32(0)),
        returnFromChain,
      ],
    },
    { text: 'meta mark set 0x00000007', exprs: [immediate(r(0), hostU32(7)), metaSet('mark', r(0))] },
    {
      text: 'ct state established,related accept',
      exprs: [...stateCheck(ctState.established | ctState.related), accept],
    },
    { text: 'ct state new accept', exprs: [...stateCheck(ctState.new), accept] },
    {
      text: 'ct status dnat accept',
      exprs: [
        ct('status', r(0)),
        bitwise(r(0), r(0), hostU32(ctStatus.dnat), hostU32(0)),
        cmp('neq', r(0), hostU32(0)),
        accept,
      ],
    },
    { text: 'ct direction reply accept', exprs: [ct('direction', r(0)), cmp('eq', r(0), bytes(1)), accept] },
    {
      text: `ct original ${family} daddr ${addressText} accept`,
      exprs: [ct(`${family} daddr`, r(0), 'original'), cmp('eq', r(0), address), accept],
    },
    {
      text: `ct reply ${family} saddr ${addressText} accept`,
      exprs: [ct(`${family} saddr`, r(0), 'reply'), cmp('eq', r(0), address), accept],
    },
    {
      text: 'meta l4proto tcp ct original proto-dst 80 accept',
      exprs: [
        meta('l4proto', r(0)),
        cmp('eq', r(0), bytes(6)),
        ct('proto-dst', r(0), 'original'),
        cmp('eq', r(0), netU16(80)),
        accept,
      ],
    },
    { text: `${family} daddr @addresses accept`, exprs: [loadDaddr(family, r(0)), member('addresses', r(0)), accept] },
    {
      text: `${family} daddr != @addresses drop`,
      exprs: [loadDaddr(family, r(0)), member('addresses', r(0), true), drop],
    },
    {
      text: `${family} daddr . meta l4proto . th dport vmap @services`,
      exprs: [...loadServer(0), vmap('services', r(0))],
    },
    {
      text: `dnat to ${family} daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints`,
      listed: `dnat ${family} to ${family} daddr . meta l4proto . th dport . numgen random mod 3 map @endpoints`,
      exprs: [
        ...loadServer(0),
        numgen('random', 3, r(words + 2)),
        mapTo('endpoints', r(0), r(0)),
        dnat(family, r(0), r(words)),
      ],
    },
    {
      text: `dnat to ${family} daddr . meta l4proto . th dport . numgen inc mod 3 offset 65536 map @endpoints`,
      listed: `dnat ${family} to ${family} daddr . meta l4proto . th dport . numgen inc mod 3 offset 65536 map @endpoints`,
      exprs: [
        ...loadServer(0),
        numgen('inc', 3, r(words + 2), 65536),
        mapTo('endpoints', r(0), r(0)),
        dnat(family, r(0), r(words)),
      ],
    },
    {
      text: `dnat to ${family} daddr . meta l4proto . th dport . jhash ${family} saddr mod 3 seed 0xdeadbeef map @endpoints`,
      listed: `dnat ${family} to ${family} daddr . meta l4proto . th dport . jhash ${family} saddr mod 3 seed 0xdeadbeef map @endpoints`,
      onlyListed: true,
      exprs: [
        loadSaddr(family, client_),
        jhash(client_, 4 * words, 3, 0xdeadbeef, target),
        ...loadServer(slots[1]),
        mapTo('endpoints', server, target),
        dnat(family, target, targetPort),
      ],
    },
    {
      text: `snat to ${addressText}`,
      listed: `snat to ${addressText}`,
      chain: 'post',
      exprs: [immediate(r(0), address), snat(family, r(0))],
    },
    { text: 'masquerade fully-random', chain: 'post', exprs: [masquerade(true)] },
    { text: 'masquerade', chain: 'post', exprs: [masquerade(false)] },
    { text: 'reject', chain: 'filter', exprs: [rejectPort(family)] },
    {
      text: 'meta l4proto tcp reject with tcp reset',
      listed: 'reject with tcp reset',
      chain: 'filter',
      exprs: [meta('l4proto', r(0)), cmp('eq', r(0), bytes(6)), reject('tcp-reset', 0)],
    },
    {
      text: four ? 'reject with icmp host-unreachable' : 'reject with icmpv6 admin-prohibited',
      chain: 'filter',
      exprs: [reject('icmp', 1)],
    },
    {
      text: 'fib daddr type local accept',
      exprs: [fibType('daddr', r(0)), cmp('eq', r(0), hostU32(RTN_LOCAL)), accept],
    },
    {
      text: 'fib saddr type != local accept',
      exprs: [fibType('saddr', r(0)), cmp('neq', r(0), hostU32(RTN_LOCAL)), accept],
    },
    {
      text: `update @clients { ${family} saddr }`,
      exprs: [loadSaddr(family, r(0)), dynset('update', 'clients', r(0))],
    },
    {
      text: `add @clients { ${family} saddr timeout 1m }`,
      exprs: [loadSaddr(family, r(0)), dynset('add', 'clients', r(0), undefined, 60_000)],
    },
    {
      text: `delete @clients { ${family} saddr }`,
      exprs: [loadSaddr(family, r(0)), dynset('delete', 'clients', r(0))],
    },
    {
      text: `update @affinity { ${family} saddr . ${family} daddr . meta l4proto . th dport timeout 3h : ${family} daddr . th dport }`,
      onlyListed: true,
      exprs: [
        loadSaddr(family, client_),
        loadDaddr(family, server),
        meta('l4proto', protocol),
        loadDport(port),
        loadDaddr(family, target),
        loadDport(targetPort),
        dynset('update', 'affinity', client_, target, 10_800_000),
      ],
    },
    {
      text: '@nh,512,16 0x4500 accept',
      exprs: [payload('network', 64, 2, r(0)), cmp('eq', r(0), netU16(0x4500)), accept],
    },
  ]
}

const structure = (family: expr.IPFamily): string => `table ${family} t {
  set addresses { type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}; }
  set clients { type ${family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'}; flags dynamic,timeout; }
  map services { typeof ${family} daddr . meta l4proto . th dport : verdict; }
  map endpoints { typeof ${family} daddr . meta l4proto . th dport . numgen random mod 65536 : ${family} daddr . th dport; }
  map affinity { typeof ${family} saddr . ${family} daddr . meta l4proto . th dport : ${family} daddr . th dport; flags dynamic,timeout; }
  chain other { }
  chain nat { type nat hook prerouting priority -100; }
  chain post { type nat hook postrouting priority 100; }
  chain filter { type filter hook input priority 0; }
}
`

/** Attributes sorted by number at every level, because nft and we may name them in another order. */
const canonical = (list: Uint8Array): unknown => {
  const view = new DataView(list.buffer, list.byteOffset, list.length)
  const out: [number, unknown][] = []
  for (let at = 0; at < list.length; ) {
    const length = view.getUint16(at, true)
    const type = view.getUint16(at + 2, true)
    const value = list.subarray(at + 4, at + length)
    const nested = (type & 0x8000) !== 0 || (length > 12 && isList(value))
    out.push([type & 0x3fff, nested ? canonical(value) : Buffer.from(value).toString('hex')])
    at += (length + 3) & ~3
  }
  return out
}

/** The kernel does not flag every nest. */
const isList = (value: Uint8Array): boolean => {
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  let at = 0
  while (at + 4 <= value.length) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > value.length) return false
    at += (length + 3) & ~3
  }
  return at === value.length || at === ((value.length + 3) & ~3)
}

for (const family of ['ip', 'ip6'] as const) {
  const table = { family, name: 't' } as const
  const readBack = async (chain: string): Promise<Uint8Array> => {
    const found = (await client.rules(table, signal)).filter((rule) => rule.chain === chain)
    return found.at(-1)?.expressions ?? new Uint8Array()
  }
  const reset = async (rule = ''): Promise<void> => {
    await client.deleteTable(family, 't', signal)
    // In one script: nft 1.0.6 cannot translate to the value of a `typeof` map that is there already.
    await client.runText(structure(family) + rule, signal)
  }
  t.test(family, async (t) => {
    for (const { text, listed = text, exprs, chain = 'nat', onlyListed } of casesOf(family)) {
      let theirs: Uint8Array | undefined
      if (onlyListed !== true) {
        await reset(`add rule ${family} t ${chain} ${text}\n`)
        theirs = await readBack(chain)
      }
      await reset()
      const batch = new Batch(family, 't')
      batch.addRule(chain, exprs, 'ours')
      await client.commit(batch, signal)
      const ours = await readBack(chain)
      if (theirs !== undefined) t.same(canonical(ours), canonical(theirs), text)
      const listing = execFileSync('nft', ['list', 'chain', family, 't', chain], { encoding: 'utf8' })
      const line = listing.split('\n').find((candidate) => candidate.includes('comment "ours"')) ?? listing
      t.equal(line.replace(' comment "ours"', '').trim(), listed, `listed: ${listed}`)
    }
  })
}

t.test('registers', async (t) => {
  t.same(
    Array.from({ length: 16 }, (_, slot) => Number(r(slot))),
    [1, 9, 10, 11, 2, 13, 14, 15, 3, 17, 18, 19, 4, 21, 22, 23],
  )
  for (const slot of [-1, 16, 1.5]) t.throws(() => r(slot), RangeError)
})
