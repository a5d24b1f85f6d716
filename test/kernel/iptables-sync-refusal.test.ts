/** A restore is refused because of one Service: the error says which, and that Service alone is left out. */
import t from 'tap'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import type { Statement, TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { ownNamespace } from '../support/namespace.ts'
import { cluster, drop, plain, withEndpoints } from './sync-cluster.ts'
import { dumpRules } from './sync-iptables-dump.ts'
import { closeKernels, kernels, start, wantedFor } from './sync-iptables-process.ts'
import { layoutName, layouts } from './sync-iptables-rig.ts'
import { wipeRules } from './sync-iptables-tools.ts'

ownNamespace(import.meta.url)
t.teardown(closeKernels)

const many = Array.from({ length: 40 }, (_, i) => plain(20 + i, 2)).flat()
const all = [...cluster, ...many]

/** Spoils the rules of ns/plain-33, and no others. */
type Spoil = (statement: Statement) => Statement
const spoiling =
  (spoil: Spoil) =>
  (changes: readonly TableChange[]): readonly TableChange[] =>
    changes.map(({ table, statements }) => ({
      table,
      statements: statements.map((each) => (table === 'nat' && each.tag === 'ns/plain-33' ? spoil(each) : each)),
    }))

const spoils: readonly { readonly what: string; readonly spoil: Spoil; readonly named: readonly Variant[] }[] = [
  {
    what: 'an address that is none',
    spoil: (each) => (each.kind === 'append' ? { ...each, rule: ruleText('-d', '300.1.1.1', '-j', 'ACCEPT') } : each),
    named: ['legacy', 'nft'],
  },
  {
    what: 'an extension that is missing',
    spoil: (each) => (each.kind === 'append' ? { ...each, rule: ruleText('-m', 'nosuchmatch', '-j', 'ACCEPT') } : each),
    named: ['legacy', 'nft'],
  },
  {
    what: 'a target that only the kernel knows is not for this table',
    spoil: (each) => (each.kind === 'append' ? { ...each, rule: ruleText('-j', 'REJECT') } : each),
    named: ['nft'],
  },
]

for (const variant of variants)
  for (const layout of layouts)
    t.test(`${variant}, ${layoutName(layout)}: one Service is refused`, async (t) => {
      const wanted = await wantedFor(variant, [...all, drop('ns/plain-33')], layout)
      const wantedAll = await wantedFor(variant, all, layout)
      for (const { what, spoil, named } of spoils) {
        await wipeRules(variant)
        const started = start(variant, all, layout)
        const { rig, ipv4 } = started
        ipv4.iptables.rewrite = spoiling(spoil)
        const error = await rig.sync()
        t.match(error, { code: 'rejected' }, what)
        if (named.includes(variant)) {
          t.match(error, { tag: 'ns/plain-33' }, `${what}: the error says whose line it was`)
          t.match(String(error), /\n> \d+: -A /, `${what}: and shows it`)
        }
        await rig.mustSync()
        t.same([...(rig.families[0]?.leftOut().keys() ?? [])], ['ns/plain-33'])
        t.match(rig.of('problem'), [{ problem: { object: { kind: 'Service', namespace: 'ns', name: 'plain-33' } } }])
        const ipv6 = new Set(['IPv6'])
        const of4 = (dump: unknown): unknown => only4(dump, ipv6)
        t.same(of4(await dumpRules(kernels[variant])), of4(wanted), `${what}: all but that one are there`)

        for (const count of [4, 2]) {
          rig.apply(...withEndpoints('plain-21', 21, count))
          await rig.mustSync()
          t.match(rig.of('applied').slice(-2), [{ kind: 'partial' }, { kind: 'partial' }], `${what}: others go on`)
        }
        rig.apply(...withEndpoints('plain-33', 33, 3))
        t.match(await rig.sync(), { code: 'rejected' }, `${what}: a change of it is refused`)
        await rig.mustSync()
        t.same(of4(await dumpRules(kernels[variant])), of4(wanted))
        rig.apply(...withEndpoints('plain-33', 33, 2))

        ipv4.iptables.rewrite = (changes) => changes
        for (const family of rig.families) family.distrust('leftOut')
        await rig.mustSync()
        await rig.tidy()
        t.same(await dumpRules(kernels[variant]), wantedAll, `${what}: it comes in when the fault goes`)
        const successor = start(variant, all, layout)
        await successor.rig.mustSync()
        t.same(
          successor.rig.of('applied').map(({ added, removed }) => added + removed),
          [0, 0],
        )
      }
      await wipeRules(variant)
    })

/** IPv6 is not refused anything. */
const only4 = (dump: unknown, others: ReadonlySet<string>): unknown =>
  JSON.parse(
    JSON.stringify(dump, (key, value) =>
      others.has(key.split(' ')[0] ?? '') || key.startsWith('WEIR-6-') || key.endsWith(' IPv6') ? undefined : value,
    ),
  )
