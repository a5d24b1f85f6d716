import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ip } from '../../../test/property/track-objects.ts'
import { hostOf } from '../../../test/support/iptables-layouts.ts'
import { restoreText } from '../../kernel/iptables/restore-builder.ts'
import { ruleTarget } from '../../kernel/iptables/rule-text.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families } from '../../model/ip.ts'
import type { FixedTable } from '../rules/fixed-layout.ts'
import { ruleTables } from '../rules/rule-table.ts'
import { fixedLayout } from './fixed.ts'
import { fixedChainNames } from './fixed-names.ts'
import { fixedTables } from './text.ts'

const laidOut = (family: Family, host: Partial<HostState> = {}, randomFully = true) => {
  const settings = { family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully }
  return {
    layout: fixedLayout(hostOf(family, host), settings),
    text: restoreText(fixedTables(hostOf(family, host), settings)),
  }
}

const golden = (name: string): string =>
  readFileSync(new URL(`../../../test/golden/ipvs/${name}.rules`, import.meta.url), 'utf8')

/** Where a packet goes in a built-in chain of a clean node, once every hook has been put before those above it. */
const order = ({ hooks }: FixedTable, chain: string): readonly (string | undefined)[] =>
  hooks
    .filter((hook) => hook.chain === chain)
    .map(({ rule }) => ruleTarget(rule)?.name)
    .toReversed()

describe.each(families)('the rules of %s', (family) => {
  it.each<{ readonly name: string; readonly host: Partial<HostState>; readonly randomFully?: boolean }>([
    { name: 'cidr', host: {} },
    {
      name: 'interface',
      host: { detector: { kind: 'interfacePrefix', prefix: 'veth' }, masqueradeMark: 0x80000000 },
      randomFully: false,
    },
    { name: 'masquerade-all', host: { detector: { kind: 'none' }, masqueradeAll: true } },
    { name: 'no-detector', host: { detector: { kind: 'none' } } },
  ])('are these: $name', ({ name, host, randomFully }) => {
    const { text } = laidOut(family, host, randomFully)
    expect(text).toBe(golden(`${name}-${family === 'IPv4' ? 4 : 6}`))
  })

  it('have their hooks in kube-proxy’s order', () => {
    const { filter, nat, mangle } = laidOut(family).layout
    expect(order(filter, 'INPUT')).toEqual(['KUBE-IPVS-FILTER', 'KUBE-PROXY-FIREWALL', 'KUBE-NODE-PORT'])
    expect(order(filter, 'FORWARD')).toEqual(['KUBE-PROXY-FIREWALL', 'KUBE-FORWARD'])
    expect(order(filter, 'OUTPUT')).toEqual(['KUBE-IPVS-OUT-FILTER'])
    for (const chain of ['PREROUTING', 'OUTPUT']) expect(order(nat, chain)).toEqual(['KUBE-SERVICES'])
    expect(order(nat, 'POSTROUTING')).toEqual(['KUBE-POSTROUTING'])
    for (const chain of ['INPUT', 'OUTPUT']) expect(order(mangle, chain)).toEqual([`WEIR-IPVS-${chain}`])
  })

  it('jump to chains that are there, and those are known by name', () => {
    const { layout } = laidOut(family)
    const names = new Set<string>()
    for (const table of ruleTables) {
      const { chains, hooks } = layout[table]
      for (const { name } of chains) names.add(name)
      const rules = [...chains.flatMap(({ head, tail }) => [...head, ...tail]), ...hooks.map(({ rule }) => rule)]
      const targets = rules.map((rule) => ruleTarget(rule)?.name ?? '').filter((name) => /^(?:KUBE|WEIR)-/.test(name))
      expect(targets.length).toBeGreaterThan(2)
      for (const target of targets) expect(chains.map(({ name }) => name)).toContain(target)
    }
    expect(names).toEqual(fixedChainNames)
  })

  it('do not depend on the node’s addresses', () => {
    const addresses = [ip(family === 'IPv4' ? '192.0.2.10' : '2001:db8::10')]
    const { text } = laidOut(family, { addresses, nodePortAddresses: { kind: 'some', addresses } })
    expect(text).toBe(laidOut(family).text)
  })
})
