/** What `weir render` prints is what the kernel holds: rule by rule for every class of chain, and for whole clusters. */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { type ChainClass, className } from '../../src/backends/nftables/class.ts'
import { classRules } from '../../src/backends/nftables/class-rules.ts'
import { nftFamily, tableName } from '../../src/backends/nftables/schema.ts'
import { fixedChains, hookText, structureScript } from '../../src/backends/nftables/structure.ts'
import { renderTable } from '../../src/backends/nftables/text.ts'
import { Batch } from '../../src/kernel/nft/batch.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import type { HostState } from '../../src/model/host.ts'
import { families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { allClasses, hostsOf } from './sync-classes.ts'
import { listTable } from './sync-dump.ts'
import { TestClient } from './sync-faults.ts'
import { NodeUnderTest, Tally } from './sync-life.ts'
import { never } from './sync-rig.ts'
import { anyLife } from './sync-world.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())
const nft = (args: readonly string[], input = ''): string =>
  execFileSync('nft', args, { input, encoding: 'utf8', maxBuffer: 512 * 1024 * 1024 })

/** Rules by chain as nft lists them. */
const listed = (host: HostState): ReadonlyMap<string, readonly string[]> => {
  const chains = new Map<string, string[]>()
  let current: string[] | undefined
  for (const line of nft(['list', 'table', nftFamily(host.family), tableName]).split('\n')) {
    const [, name] = /^\tchain (\S+) \{$/.exec(line) ?? []
    if (name !== undefined) {
      current = []
      chains.set(name, current)
    } else if (line === '\t}') current = undefined
    // nft says of which family addresses are, and how wide a mark is, and can do without being told.
    else
      current?.push(
        words(
          line
            .trim()
            .replace(/dnat ip6? to/, 'dnat to')
            .replace('0x00000000', '0'),
        ),
      )
  }
  return chains
}

/** A comment stands for a rule that nft lists but cannot read. */
const said = (text: string): string => words(text.replace(/^# /, ''))

/** nft has names for some numbers: `priority dstnat`, `timeout 10m`. */
const words = (line: string): string => line.replace(/ (?:priority \S+(?: [+-] \d+)?;|timeout \S+)/, '')

const writeClasses = async (classes: readonly ChainClass[], host: HostState): Promise<void> => {
  await kernel.deleteTable(nftFamily(host.family), tableName, never)
  await kernel.runText(structureScript(host, []), never)
  const batch = new Batch(nftFamily(host.family), tableName)
  for (const each of classes) batch.addChain(className(each))
  for (const each of classes) for (const { exprs } of classRules(each, host)) batch.addRule(className(each), exprs)
  await kernel.commit(batch, never)
}

const ofHost = allClasses.filter((each) => each.kind === 'split' || (each.kind === 'pick' && each.masquerade))

for (const family of families) {
  t.test(`chains of ${family}`, async (t) => {
    // Every setting with every other would be many; five does not divide their numbers.
    const hosts = hostsOf(family).filter((_, i) => i % 5 === 0)
    for (const [i, host] of hosts.entries()) {
      // One host with every class; then whatever depends on the host, a part of it for each.
      const some = ofHost.filter((each, n) => n % hosts.length === i || each.kind === 'split')
      const needed = some.flatMap((each) => (each.kind === 'split' ? [each.cluster, each.local ?? each.cluster] : []))
      const classes =
        i === 0
          ? allClasses
          : [...new Map([...some.slice(0, 40), ...needed].map((each) => [className(each), each])).values()]
      await writeClasses(classes, host)
      const chains = listed(host)
      let rules = 0
      for (const each of classes) {
        const wanted = classRules(each, host).flatMap(({ text }) => text.map(said))
        rules += wanted.length
        assert.deepEqual(chains.get(className(each)), wanted, className(each))
      }
      for (const { name, base, rules: texts, elsewhere } of fixedChains(host)) {
        // nft lists a test of the topmost bit as one of a prefix.
        if (elsewhere === true || (name === 'masquerading' && host.masqueradeMark === 0x8000_0000)) continue
        const body = base === undefined ? texts : [hookText(base), ...texts]
        assert.deepEqual(chains.get(name), body.map(words), name)
      }
      if (i === 0) t.ok(rules > 3000, `${rules} rules of ${classes.length} classes`)
    }
    t.pass(`${hosts.length} hosts`)
    await kernel.deleteTable(nftFamily(family), tableName, never)
  })
}

interface Listing {
  readonly rest: readonly string[]
  readonly rules: Readonly<Record<string, unknown>>
}

/** Rules that the grammar of nft cannot take in are comments in the text. */
const withoutRecorders = (listing: Listing): Listing => ({
  ...listing,
  rules: Object.fromEntries(
    Object.entries(listing.rules).filter(([name]) => name !== 'affinity-record' && !name.startsWith('record-')),
  ),
})

t.test('whole clusters load with nft, and are what a sync writes', async (t) => {
  let sizes = 0
  const check = async (life: Parameters<typeof live>[0]): Promise<void> => {
    sizes += await live(life)
  }
  await fc.assert(fc.asyncProperty(anyLife(6), check), { seed: 20_261_123, numRuns: 25 })
  await fc.assert(fc.asyncProperty(anyLife(2, { large: true }), check), { seed: 20_261_124, numRuns: 1 })
  t.ok(sizes > 100_000, `${sizes} bytes of text`)
})

const live = async (life: ConstructorParameters<typeof NodeUnderTest>[0]): Promise<number> => {
  for (const family of families) await kernel.deleteTable(nftFamily(family), tableName, never)
  const node = new NodeUnderTest(life, new TestClient(kernel), new Tally())
  await node.live()
  let size = 0
  for (const [i, sync] of node.rig.families.entries()) {
    const family = nftFamily(sync.family)
    const states = [...sync.applied().values()].flat()
    const host = node.rig.desired.host(sync.family)
    const text = renderTable(host, states)
    assert.equal(node.rig.backends[i]?.render(host, states), text)
    assert.equal(renderTable(host, [...states]), text, 'the same input gives the same bytes')
    size += text.length
    const written = withoutRecorders(listTable(family) as Listing)
    nft(['-c', '-f', '-'], text)
    assert.deepEqual(withoutRecorders(listTable(family) as Listing), written, 'checking changes nothing')
    nft(['-f', '-'], text)
    assert.deepEqual(withoutRecorders(listTable(family) as Listing), written)
    nft(['-f', '-'], text)
    assert.deepEqual(withoutRecorders(listTable(family) as Listing), written, 'a second time it replaces itself')
  }
  return size
}
