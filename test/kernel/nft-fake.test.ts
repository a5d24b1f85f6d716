/** The fake against the kernel: the same batches, some of them wrong, must end alike and leave the same behind. */
import t from 'tap'
import { KernelError } from '../../src/kernel/netlink/error.ts'
import { Batch } from '../../src/kernel/nft/batch.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import { goTo, jump, loadDaddr, member, register, returnFromChain } from '../../src/kernel/nft/expr.ts'
import { FakeNft } from '../../src/kernel/nft/fake.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { ownNamespace } from '../support/namespace.ts'
import { type Random, randomFrom } from '../support/random.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const table = { family: 'ip', name: 'weir' } as const
const structure = `add table ip weir { comment "ours"; }
add set ip weir plain { type ipv4_addr; comment "addresses"; }
add set ip weir timed { type ipv4_addr; flags timeout; }
add set ip weir ranges { type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval; }
add map ip weir endpoints { typeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport; }
add map ip weir services { type ipv4_addr . inet_proto . inet_service : verdict; comment "by server"; }
add chain ip weir entry { type nat hook prerouting priority -100; }
flush chain ip weir entry
add chain ip weir kept { comment "stays"; }
add rule ip weir entry ip daddr . meta l4proto . th dport vmap @services comment "dispatch"
add rule ip weir entry ip daddr @plain goto kept
`

const setNames = ['plain', 'timed', 'ranges', 'endpoints', 'services', 'absent'] as const
const chainNames = ['kept', 'c0', 'c1', 'c2', 'c3'] as const
const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T

/** Jumps go to later chains only: the fake does not look for loops. */
const chainStep = (batch: Batch, random: Random): void => {
  const from = random(chainNames.length)
  const chain = chainNames[from] ?? 'kept'
  const later = [...chainNames.slice(from + 1), 'entry', 'missing']
  const ending = pick(random, [
    member(pick(random, ['plain', 'timed', 'absent']), register(0)),
    goTo(pick(random, later)),
    jump(pick(random, later)),
    returnFromChain,
  ])
  const comment = random(2) === 0 ? undefined : `of ${chain}`
  const action = random(7)
  if (action < 2) batch.addChain(chain, comment)
  else if (action === 2) batch.deleteChain(chain)
  else if (action === 3) batch.flushChain(chain)
  else if (action < 6) batch.addRule(chain, [loadDaddr('ip', register(0)), ending], comment)
  else if (random(4) === 0) batch.flushSet(pick(random, setNames))
}

const step = (batch: Batch, random: Random): void => {
  if (random(2) === 0) chainStep(batch, random)
  else elementStep(batch, random)
}

const elementStep = (batch: Batch, random: Random): void => {
  const set = pick(random, setNames)
  const op = random(3) === 0 ? 'delete' : 'add'
  batch.elements(op, set)
  const widths = { plain: 4, timed: 4, ranges: 16, endpoints: 16, services: 12, absent: 4 }
  const width = random(40) === 0 ? widths[set] + 4 : widths[set]
  const number = random(6)
  const key = batch.element(width)
  batch.view.setUint8(key, number)
  if (set === 'ranges') {
    const end = batch.keyEnd(width)
    batch.view.setUint8(end, number)
  }
  const odd = random(40) === 0
  if (set === 'endpoints' && !odd) {
    const data = batch.data(8)
    batch.view.setUint8(data, random(2))
  }
  if (set === 'services' && !odd)
    batch.verdict(pick(random, [{ kind: 'goto', chain: pick(random, chainNames) }, { kind: 'drop' }] as const))
  if (set === 'timed' || (set === 'plain' && odd)) batch.timeout(3_600_000)
  if (random(3) === 0) batch.comment(`element ${number}`)
  batch.endElement()
}

const outcome = async (client: NftClient, batch: Batch): Promise<string> => {
  const before = client.generation(signal)
  try {
    await client.commit(batch, signal)
    return `committed, generation +${client.generation(signal) - before}`
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return `refused: ${error.code} ${error.errno} at ${error.tag}`
  }
}

const everything = async (client: NftClient): Promise<unknown> => {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const sets = await client.sets(table, signal)
  const elements = new Map<string, readonly string[]>()
  for (const { name } of sets) {
    const lines: string[] = []
    await client.dumpElements(
      table,
      name,
      (key, keyEnd, data, comment, flags) =>
        lines.push(
          JSON.stringify([
            text(key),
            keyEnd && text(keyEnd),
            data instanceof Uint8Array ? text(data) : data,
            comment,
            flags,
          ]),
        ),
      signal,
    )
    elements.set(name, lines.sort())
  }
  const chains = await client.chains(table, signal)
  const rules = await client.rules(table, signal)
  return {
    tables: (await client.tables(signal)).map(({ family, name, comment }) => ({ family, name, comment })),
    chains: chains.map(({ name, comment, base, use }) => ({ name, comment, base, use })).sort(byName),
    sets: sets
      .map(({ name, comment, flags, keyLength, data }) => ({ name, comment, flags, keyLength, data }))
      .sort(byName),
    rules: ['entry', ...chainNames].map((chain) =>
      rules.filter((rule) => rule.chain === chain).map(({ comment }) => comment),
    ),
    elements: Object.fromEntries(elements),
  }
}
const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1)

const kernel = openNftClient()
t.teardown(() => kernel.close())

t.test('structure as text is understood alike', async (t) => {
  const fake = new FakeNft()
  for (const client of [kernel, fake]) await client.runText(structure, signal)
  t.same(await everything(fake), await everything(kernel))
  for (const client of [kernel, fake]) await client.runText(structure.replace(/add rule.*\n/g, ''), signal)
  t.same(await everything(fake), await everything(kernel), 'again, with its rules flushed')
  for (const client of [kernel, fake]) {
    await t.rejects(client.runText('delete chain ip weir none\n', signal), { code: 'notFound' })
    await t.rejects(client.runText('add set ip weir plain { type inet_service; }\n', signal), { code: 'exists' })
    await t.rejects(client.runText('add rule ip none c accept\n', signal), { code: 'notFound' })
    const block =
      'table ip weir2 {\n  comment "x"\n  chain a { jump b; }\n  chain b { }\n  set s { type inet_service; }\n}\n'
    await client.runText(block, signal)
    await t.rejects(client.runText('delete chain ip weir2 b\n', signal), { code: 'busy' })
    const other = { family: 'ip', name: 'weir2' } as const
    t.match(await client.chains(other, signal), [{ name: 'a' }, { name: 'b', use: 1 }])
    t.match(await client.sets(other, signal), [{ name: 's', keyLength: 2 }])
    await client.runText('delete table ip weir2\n', signal)
    await client.deleteTable('ip', 'weir', signal)
    await client.deleteTable('ip', 'weir', signal)
    t.same(await client.tables(signal), [])
    await t.rejects(client.sets(table, signal), { code: 'notFound' })
  }
})

for (const seed of [1, 20, 300, 4000]) {
  t.test(`random batches, seed ${seed}`, async (t) => {
    const fake = new FakeNft()
    for (const client of [kernel, fake]) {
      await client.deleteTable('ip', 'weir', signal)
      await client.runText(structure, signal)
    }
    const random = randomFrom(seed)
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 150; round++) {
      const batch = new Batch('ip', 'weir')
      const steps = 1 + random(5)
      for (let i = 0; i < steps; i++) {
        batch.mark(`step ${i}`)
        step(batch, random)
      }
      const [wanted, got] = [await outcome(kernel, batch), await outcome(fake, batch)]
      const kind = wanted.replace(/ at .*/, '')
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1)
      if (got !== wanted) {
        t.fail(`round ${round}: ${Buffer.from(batch.finish()).toString('hex')}`)
        t.equal(got, wanted)
        return
      }
      if (round % 10 === 0) t.same(await everything(fake), await everything(kernel), `after round ${round}`)
    }
    t.same(await everything(fake), await everything(kernel))
    t.comment(JSON.stringify(Object.fromEntries(outcomes)))
    for (const kind of ['committed, generation +1', 'refused: notFound 2', 'refused: exists 17', 'refused: busy 16'])
      t.ok((outcomes.get(kind) ?? 0) > 0, `saw: ${kind}`)
  })
}
