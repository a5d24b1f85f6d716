/** Many members: how long they take, that the table is of the right size, and what happens when it changes meanwhile. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { SetSpec } from '../../src/kernel/ipset/ipset.ts'
import type { Member } from '../../src/kernel/ipset/member.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import { Writer } from '../../src/kernel/netlink/wire.ts'
import type { Family } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const ipset = openIpset()
t.teardown(() => ipset.close())
t.afterEach(() => sh('ipset destroy'))

const sh = (command: string, input = ''): string => {
  const [program = '', ...args] = command.split(' ')
  return execFileSync(program, args, { input, encoding: 'utf8', maxBuffer: 1 << 26 })
}
const spec = (maxElements: number, family: Family = 'IPv4'): SetSpec => ({
  name: `WEIR-${family}`,
  type: 'hash:ip,port,ip',
  family,
  maxElements,
})
const hex = (value: number): string => (value % 0xffff).toString(16).replace(/^0$/, 'ffff')
const member = (i: number, family: Family = 'IPv4'): Member => {
  const ip =
    family === 'IPv4' ? `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}` : `fd00::${hex(i >> 12)}:${hex(i)}`
  return `${ip},tcp:${1 + (i >> 4)},${ip}` as Member
}
const range = (from: number, to: number, family?: Family): readonly Member[] =>
  Array.from({ length: to - from }, (_, i) => member(from + i, family))
/** For lists that take long to compare with a report of where they differ. */
const isSame = (one: readonly string[], other: readonly string[]): boolean =>
  one.toSorted().join('\n') === other.toSorted().join('\n')
const hashSizeOf = (name: string): number => Number(/hashsize (\d+)/.exec(sh(`ipset list -terse ${name}`))?.[1])

t.test('a set of the right size does not grow while it fills', async (t) => {
  for (const [size, expected] of [
    [1, 64],
    [64, 64],
    [65, 128],
    [1000, 1024],
    [20_000, 32_768],
  ] as const) {
    const set = spec(size)
    await ipset.create(set, signal)
    t.equal(hashSizeOf(set.name), expected)
    await ipset.add(set, range(0, size), signal)
    t.equal(hashSizeOf(set.name), expected, `with ${size} members`)
    await ipset.destroy(set.name, signal)
  }
})

t.test('100,000 members in one call', async (t) => {
  for (const family of ['IPv4', 'IPv6'] as const) {
    const set = spec(100_000, family)
    await ipset.create(set, signal)
    const members = range(0, 100_000, family)
    const started = performance.now()
    let turns = 0
    const others = setInterval(() => turns++, 1)
    await ipset.add(set, members, signal)
    clearInterval(others)
    t.comment(`${family}: ${Math.round(performance.now() - started)} ms`)
    t.ok(turns > 5, `the rest of the process had ${turns} turns meanwhile`)
    t.equal(hashSizeOf(set.name), 131_072, 'the table did not grow')
    t.same(
      (await ipset.list(signal)).find(({ name }) => name === set.name)?.entries,
      new Set(members).size,
      'as many members as there are',
    )
    const saved = sh(`ipset save ${set.name}`).matchAll(/^add \S+ (.*)$/gm)
    const found = await ipset.members(set, signal)
    t.ok(
      isSame(
        found,
        Array.from(saved, ([, text]) => text ?? ''),
      ),
      'read what ipset saves',
    )
    t.ok(isSame(found, members), 'read what was added')
    await ipset.remove(set, members, signal)
    t.same(await ipset.members(set, signal), [])
  }
})

t.test('an error in the middle of many messages', async (t) => {
  const set = spec(5000)
  await ipset.create(set, signal)
  const members = range(0, 20_000)
  const small = openIpset({ batchBytes: 4096 })
  t.teardown(() => small.close())
  const odd = [...members.slice(0, 3000), 'odd' as Member, ...members.slice(3000)]
  await t.rejects(small.add(set, odd, signal), { code: 'invalid', member: 'odd', op: 'add WEIR-IPv4' })
  t.equal((await ipset.members(set, signal)).length, 3000)
  // In a table of more than 1024 buckets the kernel counts by parts of it.
  const error = await small.add(set, members, signal).then(
    () => t.fail('not refused'),
    (error: unknown) => error,
  )
  t.match(error, { code: 'full', op: 'add WEIR-IPv4', member: String })
  const refused = error instanceof Object && 'member' in error ? error.member : undefined
  const before = (members as readonly unknown[]).indexOf(refused)
  t.ok(before >= 5000 && before < 6000, `full after ${before}`)
  t.same(
    (await ipset.members(set, signal)).toSorted(),
    members.slice(0, before).toSorted(),
    'all before it, none after',
  )
})

t.test('an aborted call stops between two messages', async (t) => {
  const set = spec(100_000)
  await ipset.create(set, signal)
  const stop = new AbortController()
  const added = ipset.add(set, range(0, 100_000), stop.signal)
  stop.abort(new Error('enough'))
  await t.rejects(added, { message: 'enough' })
  const found = await ipset.members(set, signal)
  t.ok(found.length > 0 && found.length < 100_000, `${found.length} members`)
  t.ok(isSame(found, range(0, found.length)), 'the first of them')
})

t.test('a set that others change while it is read', async (t) => {
  const set = spec(60_000)
  await ipset.create(set, signal)
  const stays = range(0, 30_000)
  await ipset.add(set, stays, signal)
  const churn = ['add', 'del'].flatMap((verb) => range(30_000, 60_000).map((each) => `${verb} ${set.name} ${each}`))
  const program = spawn('ipset', ['-exist', 'restore'], { stdio: ['pipe', 'ignore', 'inherit'] })
  const ended = once(program, 'exit')
  program.stdin.end(`${churn.join('\n')}\n`)
  const possible = new Set([...stays, ...range(30_000, 60_000)])
  let between = 0
  for (let running = true; running; ) {
    running = await Promise.race([ended.then(() => false), sleep(1).then(() => true)])
    const found = await ipset.members(set, signal)
    if (found.length > 30_000 && found.length < 60_000) between++
    const seen = new Set(found)
    if (seen.size !== found.length) t.fail('a member twice')
    if (!stays.every((each) => seen.has(each))) t.fail('a member that stayed is missing')
    if (!found.every((each) => possible.has(each))) t.fail('a member that never was')
  }
  t.ok(between > 0, `${between} times in the middle of changes`)
})

t.test('sets that someone is reading are swapped as soon as that ends', async (t) => {
  const set = spec(60_000)
  await ipset.create(set, signal)
  await ipset.create({ ...set, name: 'WEIR-B' }, signal)
  await ipset.add(set, range(0, 60_000), signal)
  const reader = openTransport({ protocol: 12 })
  const writer = new Writer()
  // IPSET_CMD_LIST with NLM_F_REQUEST and NLM_F_DUMP: nfgenmsg, IPSET_ATTR_PROTOCOL, IPSET_ATTR_SETNAME.
  const message = writer.message(0x607, 0x301, 1)
  writer.reserve(4)
  writer.u8(1, 6)
  writer.string(2, set.name)
  writer.endMessage(message)
  reader.send(writer.finish())
  await t.rejects(ipset.destroy(set.name, signal), { code: 'busy' })
  let done = false
  const swapped = ipset.swap(set.name, 'WEIR-B', signal).then(() => {
    done = true
  })
  await sleep(50)
  t.equal(done, false, 'not while it is read')
  reader.close()
  await swapped
  t.equal((await ipset.members({ ...set, name: 'WEIR-B' }, signal)).length, 60_000)
})
