/** The fake against the real programs: the same statements, many of them wrong, must end alike and leave the same behind. */
import t from 'tap'
import { FakeIptables } from '../../src/kernel/iptables/fake-iptables.ts'
import { type Iptables, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { IptablesError } from '../../src/kernel/iptables/iptables-error.ts'
import type { Statement, TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { type RuleText, ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import { type Random, randomFrom } from '../support/random.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T

const own = ['KUBE-A', 'KUBE-B', 'KUBE-C', 'WEIR-D'] as const
const tables = ['filter', 'nat'] as const
const tooLong = `KUBE-${'X'.repeat(30)}`

/** Jumps go to later chains only: the fake does not look for loops. Targets are for every hook that may lead to them. */
const rule = (random: Random, family: Family, chain: string): RuleText => {
  const from = own.indexOf(chain as (typeof own)[number])
  const ip = family === 'IPv4' ? '10.0.0.1' : 'fd00::1'
  const targets = [...own.slice(from + 1), 'ACCEPT', 'ACCEPT', 'RETURN', 'KUBE-GONE', 'OUTPUT']
  const target = random(8) === 0 ? pick(random, ['DROP', 'REJECT']) : pick(random, targets)
  const matches = pick(random, [
    [],
    ['-m', 'comment', '--comment', 'ns1/svc1:p80 cluster IP', '-m', 'tcp', '-p', 'tcp', '-d', ip, '--dport', '80'],
    ['-m', 'comment', '--comment', 'ns1/svc1'],
    ['-m', 'mark', '!', '--mark', '0x00004000/0x00004000'],
    ['-s', ip],
  ])
  return ruleText(...matches, '-j', target)
}

const statement = (random: Random, family: Family, tag: number): Statement => {
  const chain = pick(random, [...own, ...own, 'OUTPUT', 'KUBE-NONE'])
  const given = { chain, tag }
  switch (random(10)) {
    case 0:
    case 1:
    case 2:
      return random(20) === 0
        ? { kind: 'chain', chain: tooLong, tag }
        : { kind: 'chain', chain: pick(random, own), tag }
    case 3:
    case 4:
      return { kind: 'append', ...given, rule: rule(random, family, chain) }
    case 5:
    case 6:
      return { kind: 'insert', ...given, rule: rule(random, family, chain) }
    case 7:
      return { kind: 'delete', ...given, rule: rule(random, family, chain) }
    case 8:
      return { kind: 'flush', ...given }
    default:
      // Of built-in chains too, the nft variant deletes an empty one; nobody here means to.
      return { kind: 'deleteChain', chain: pick(random, [...own, 'KUBE-NONE']), tag }
  }
}

const changes = (random: Random, family: Family): readonly TableChange[] =>
  tables
    .filter(() => random(3) > 0)
    .map((table) => ({
      table,
      statements: Array.from({ length: random(5) }, (_, i) => statement(random, family, i)),
    }))

const outcome = async (iptables: Iptables, given: readonly TableChange[]): Promise<unknown> => {
  try {
    await iptables.restore(given, signal)
    return 'committed'
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error
    const [, ...excerpt] = error.message.split('\n')
    return { code: error.code, line: error.line, tag: error.tag, excerpt }
  }
}

const content = async (iptables: Iptables): Promise<unknown> => {
  const { tables: all } = await iptables.save(signal)
  const sorted = all.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return sorted.map(({ name, chains, rules }) => ({
    name,
    chains: [...chains.values()].map(({ name: chain, policy }) => `${chain} ${policy ?? '-'}`).sort(),
    rules: rules.map((each) => `${each.chain} ${each.rule}`).sort((a, b) => compareChains(a, b)),
  }))
}
/** Stable: within a chain the order of rules counts. */
const compareChains = (a: string, b: string): number => {
  const [left = '', right = ''] = [a, b].map((line) => line.slice(0, line.indexOf(' ')))
  return left < right ? -1 : left > right ? 1 : 0
}

for (const variant of variants)
  for (const family of families)
    t.test(`${variant} ${family}`, async (t) => {
      const [real, fake] = [new IptablesClient(variant, family), new FakeIptables(variant, family)]
      const random = randomFrom(family === 'IPv4' ? 4711 : 1147)
      const ends = { committed: 0, refused: 0 }
      for (let step = 0; step < 150; step++) {
        const given = changes(random, family)
        const [wanted, got] = [await outcome(real, given), await outcome(fake, given)]
        const message = `step ${step}: ${JSON.stringify(given)}`
        if (JSON.stringify(wanted) !== JSON.stringify(got)) t.strictSame(got, wanted, message)
        ends[wanted === 'committed' ? 'committed' : 'refused']++
        const [realContent, fakeContent] = [await content(real), await content(fake)]
        if (JSON.stringify(realContent) !== JSON.stringify(fakeContent)) {
          t.strictSame(fakeContent, realContent, message)
          return
        }
      }
      t.ok(ends.committed > 30 && ends.refused > 30, JSON.stringify(ends))
      t.equal(fake.calls.restore, 150)
      t.equal(
        fake.statements,
        fake.restores.flat().reduce((sum, { statements }) => sum + statements.length, 0),
      )
    })
