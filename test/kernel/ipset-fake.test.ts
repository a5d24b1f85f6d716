/** The fake against the kernel: the same calls, some of them wrong, end alike and leave the same behind. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { FakeIpset } from '../../src/kernel/ipset/fake-ipset.ts'
import { type Ipset, type SetHeader, type SetRef, type SetType, setTypes } from '../../src/kernel/ipset/ipset.ts'
import { IpsetError } from '../../src/kernel/ipset/ipset-error.ts'
import type { Member } from '../../src/kernel/ipset/member.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { type Random, randomFrom } from '../support/random.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const names = ['A', 'B', 'C', 'D', 'absent', 'x'.repeat(31), 'x'.repeat(32)] as const
const addresses = {
  IPv4: ['10.0.0.1', '10.0.0.2', '255.255.255.255'],
  IPv6: ['fd00::1', 'fd00::2', 'ffff::'],
} as const satisfies Record<Family, readonly string[]>
const networks = {
  IPv4: ['10.0.0.0/8', '10.1.0.0/16', '192.0.2.1', '0.0.0.0/1', '0.0.0.0/0', '10.0.0.1/8', '10.0.0.0/8 nomatch'],
  IPv6: ['fd00::/8', 'fd00:1::/32', '2001:db8::1', '::/1', '::/0', 'fd00::1/8', 'fd00::/8 nomatch'],
} as const satisfies Record<Family, readonly string[]>
const marks = ['', '', ' skbmark 0x1', ' skbmark 0x80000001', ' skbmark 0x1/0xff', ' skbmark 1'] as const
const services = ['tcp:80', 'udp:53', 'sctp:99', '47:0', 'tcp:65536', 'TCP:80'] as const

const pick = <T>(random: Random, choices: readonly [T, ...T[]]): T => choices[random(choices.length)] ?? choices[0]

const someMember = (random: Random, { type, family, marks: marked }: SetRef): Member => {
  if (random(40) === 0) return 'nonsense' as Member
  // The last few of each are wrong, and rare.
  const upTo = <T>(list: readonly [T, ...T[]], wrong: number): T =>
    list[random(random(10) === 0 ? list.length : list.length - wrong)] ?? list[0]
  if (type === 'bitmap:port') return upTo(['1', '2', '65535', '0', '65536', '01'], 2) as Member
  if (type === 'hash:ip') return upTo([...addresses[family], family === 'IPv4' ? '0.0.0.0' : '::'], 1) as Member
  const ipPort = `${pick(random, addresses[family])},${upTo(services, 2)}`
  if (type === 'hash:ip,port') return `${ipPort}${marked ? upTo(marks, 1) : ''}` as Member
  return `${ipPort},${type === 'hash:ip,port,ip' ? pick(random, addresses[family]) : upTo(networks[family], 3)}` as Member
}

const someSet = (random: Random): SetRef => {
  const type: SetType = pick(random, setTypes)
  const about = { name: pick(random, names), type, family: pick(random, families) }
  return type === 'hash:ip,port' && random(2) === 0 ? { ...about, marks: true } : about
}

interface Call {
  readonly text: string
  readonly run: (ipset: Ipset) => Promise<unknown>
}

/** `known` says what the sets are, so that most calls mean what is there. `full`: small sets, nothing removed. */
const someCall = (random: Random, known: ReadonlyMap<string, SetRef>, full: boolean): Call => {
  const name = pick(random, names)
  const set = random(8) === 0 ? someSet(random) : (known.get(name) ?? someSet(random))
  const members = Array.from({ length: random(12) }, () => someMember(random, set))
  const about = `${set.name} ${set.type} ${set.family}${set.marks ? ' marks' : ''}`
  const kind = random(20)
  if (kind < 3) {
    const spec = { ...someSet(random), maxElements: full ? random(6) : 1000 }
    return { text: `create ${JSON.stringify(spec)}`, run: (ipset) => ipset.create(spec, signal) }
  }
  if (kind === 3) {
    const other = pick(random, names)
    return { text: `rename ${name} ${other}`, run: (ipset) => ipset.rename(name, other, signal) }
  }
  if (kind < 5) return { text: `destroy ${name}`, run: (ipset) => ipset.destroy(name, signal) }
  if (kind < 8) {
    const other = pick(random, names)
    return { text: `swap ${name} ${other}`, run: (ipset) => ipset.swap(name, other, signal) }
  }
  if (kind < 10)
    return { text: `members ${about}`, run: async (ipset) => (await ipset.members(set, signal)).toSorted() }
  // The kernel lets a set that is full take a member into the gap that a removed one left.
  if (kind < 13 && !full)
    return { text: `remove ${about} ${members.join(' ')}`, run: (ipset) => ipset.remove(set, members, signal) }
  return { text: `add ${about} ${members.join(' ')}`, run: (ipset) => ipset.add(set, members, signal) }
}

const outcome = async (work: Promise<unknown>): Promise<unknown> => {
  try {
    return { result: await work }
  } catch (error) {
    if (!(error instanceof IpsetError)) throw error
    const { code, op, member } = error
    return { code, op, member }
  }
}

const marksOf = ({ options }: SetHeader): { readonly marks?: true } =>
  options.includes('skbinfo') ? { marks: true } : {}

const state = async (ipset: Ipset): Promise<unknown> => {
  const headers = (await ipset.list(signal)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const contents: unknown[] = []
  for (const header of headers) {
    const { name, type, family = 'IPv4' } = header
    const known = setTypes.find((each) => each === type)
    if (known !== undefined)
      contents.push((await ipset.members({ name, type: known, family, ...marksOf(header) }, signal)).toSorted())
  }
  return { headers, contents }
}

const sh = (program: string, ...args: readonly string[]): void => void execFileSync(program, args, { stdio: 'ignore' })

for (const full of [false, true])
  t.test(full ? 'sets that are full' : 'sets with room', async (t) => {
    const seen = new Map<string, number>()
    for (let seed = 1; seed <= 40; seed++) {
      const random = randomFrom(seed * 0x9e37)
      const kernel = openIpset()
      const fake = new FakeIpset()
      const known = new Map<string, SetRef>()
      // References: a rule holds A from the start.
      const held = {
        name: 'A',
        type: pick(random, setTypes),
        family: pick(random, families),
        maxElements: full ? 3 : 1000,
      }
      for (const ipset of [kernel, fake]) await ipset.create(held, signal)
      const directions =
        held.type === 'bitmap:port' || held.type === 'hash:ip'
          ? 'dst'
          : held.type === 'hash:ip,port'
            ? 'dst,dst'
            : 'dst,dst,dst'
      const rule = ['OUTPUT', '-m', 'set', '--match-set', 'A', directions]
      const program = held.family === 'IPv6' ? 'ip6tables-legacy' : 'iptables-legacy'
      sh(program, '-A', ...rule)
      fake.setReferences('A', 1)
      for (let step = 0; step < 60; step++) {
        const call = someCall(random, known, full)
        const expected = await outcome(call.run(kernel))
        const actual = await outcome(call.run(fake))
        if (!t.same(actual, expected, `${call.text} (seed ${seed}, step ${step})`)) return
        const code =
          typeof expected === 'object' && expected !== null && 'code' in expected ? String(expected.code) : 'ok'
        seen.set(code, (seen.get(code) ?? 0) + 1)
        known.clear()
        for (const header of await fake.list(signal)) {
          const { name, type, family = pick(random, families) } = header
          const ours = setTypes.find((each) => each === type)
          if (ours !== undefined) known.set(name, { name, type: ours, family, ...marksOf(header) })
        }
      }
      t.same(await state(fake), await state(kernel), `what seed ${seed} left`)
      sh(program, '-D', ...rule)
      sh('ipset', 'destroy')
      kernel.close()
    }
    t.comment(JSON.stringify(Object.fromEntries(seen)))
    const codes = ['ok', 'exists', 'notFound', 'busy', 'typeMismatch', 'invalid', ...(full ? ['full'] : [])]
    for (const code of codes) t.ok((seen.get(code) ?? 0) > 5, `${code}: ${seen.get(code)} times`)
  })
