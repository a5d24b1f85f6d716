import { describe, expect, it } from 'vitest'
import type { Family } from '../../model/ip.ts'
import { FakeIptables } from './fake-iptables.ts'
import { FakeRulesetWatch } from './fake-ruleset-watch.ts'
import { variants } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import type { Statement, TableChange } from './restore-builder.ts'
import { ruleText } from './rule-text.ts'

const { signal } = new AbortController()
const chain = (name: string): Statement => ({ kind: 'chain', chain: name })
const append = (name: string, words: string, tag?: string): Statement => ({
  ...{ kind: 'append', chain: name, rule: ruleText(...words.split(' ')), tag },
})
const nat = (...statements: readonly Statement[]): readonly TableChange[] => [{ table: 'nat', statements }]

/** How it compares with the real programs is checked in test/kernel/iptables-fake.test.ts. */
describe.each(variants)('FakeIptables, %s', (variant) => {
  it('prints rules as iptables-save does', async () => {
    const fake = new FakeIptables(variant, 'IPv4')
    await fake.restore(nat(chain('KUBE-A'), append('KUBE-A', '-m tcp -p tcp -d 10.0.0.1 --dport 80 -j ACCEPT')), signal)
    const [table] = (await fake.save(signal)).tables
    expect(table?.rules.map(({ rule }) => rule)).toEqual(['-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j ACCEPT'])
    expect(fake.calls).toEqual({ tables: 0, save: 1, restore: 1, update: 0 })
    expect(fake.statements).toBe(2)
  })

  it('names the line that it cannot read, and whose it is', async () => {
    const fake = new FakeIptables(variant, 'IPv4')
    fake.unreadable = ({ tag }) => tag === 'ns/bad'
    const bad = nat(chain('KUBE-A'), append('KUBE-A', '-j ACCEPT', 'ns/good'), append('KUBE-A', '-j ACCEPT', 'ns/bad'))
    const error = await fake.restore(bad, signal).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'rejected', line: 4, tag: 'ns/bad' })
    expect(String(error)).toContain('\n> 4: -A KUBE-A -j ACCEPT\n')
    expect((await fake.save(signal)).tables.flatMap(({ rules }) => rules)).toEqual([])
  })

  it('fails when told to, once', async () => {
    const fake = new FakeIptables(variant, 'IPv4')
    fake.failNext(new IptablesError('locked', 'iptables-restore', 'lock'))
    await expect(fake.restore(nat(chain('KUBE-A')), signal)).rejects.toMatchObject({ code: 'locked' })
    expect(await fake.tables()).toEqual([])
    await fake.restore(nat(chain('KUBE-A')), signal)
    expect(await fake.tables()).toEqual(['nat'])
  })

  it('lets others write, uncounted', async () => {
    const fake = new FakeIptables(variant, 'IPv4')
    fake.foreignWrite(nat(chain('CNI-A'), append('CNI-A', '-j RETURN')))
    expect((await fake.save(signal)).tables[0]?.chains.has('CNI-A')).toBe(true)
    expect([fake.calls.restore, fake.statements, fake.restores.length]).toEqual([0, 0, 0])
  })
})

describe('FakeRulesetWatch', () => {
  it('suspects a family until it is compared, and after a foreign write', async () => {
    const heard: Family[] = []
    const watch = new FakeRulesetWatch((family) => heard.push(family))
    expect(watch.untouched('IPv4', signal)).toBe(false)
    watch.compared('IPv4', signal)
    expect(await watch.write('IPv4', 12, async () => 'done', signal)).toBe('done')
    expect(watch.untouched('IPv4', signal)).toBe(true)
    watch.foreignWrite('IPv4')
    expect([watch.untouched('IPv4', signal), heard, watch.writes]).toEqual([
      ...[false, ['IPv4'], [{ family: 'IPv4', bytes: 12 }]],
    ])
  })
})
