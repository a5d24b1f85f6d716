import { describe, expect, it } from 'vitest'
import { FakeIptables } from '../../kernel/iptables/fake-iptables.ts'
import type { Variant } from '../../kernel/iptables/iptables.ts'
import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { TableName } from '../../kernel/iptables/table-name.ts'
import type { Family } from '../../model/ip.ts'
import { iptablesLeftovers } from './iptables-leftovers.ts'
import { mergeParts, type TakeoverReport } from './report.ts'

const { signal } = new AbortController()
const hash = 'NPX46M4PTMTKRN6Y'

const jump = (chain: string, comment?: string, ...before: readonly string[]): RuleText =>
  ruleText(...before, ...(comment === undefined ? [] : ['-m', 'comment', '--comment', comment]), '-j', chain)

const localnet =
  '-m comment --comment "block incoming localnet connections" -m conntrack --ctstate NEW -j DROP' as RuleText

/** A table from its chains (in brackets those without rules) and rules, each `chain: rule`. */
const table = (
  name: TableName,
  chains: readonly string[],
  rules: readonly (readonly [chain: string, rule: RuleText])[] = [],
): TableChange => ({
  table: name,
  statements: [
    ...chains.map((chain) => ({ kind: 'chain', chain }) as const),
    ...rules.map(([chain, rule]) => ({ kind: 'append', chain, rule }) as const),
  ],
})

const programmed = async (...changes: readonly TableChange[]): Promise<FakeIptables> => {
  const iptables = new FakeIptables('nft' satisfies Variant, 'IPv4' satisfies Family)
  await iptables.restore(changes, signal)
  return iptables
}

const remove = async (iptables: FakeIptables, inUse?: 'iptables' | 'ipvs'): Promise<TakeoverReport> =>
  mergeParts(await iptablesLeftovers(iptables, { remove: true, inUse }, signal))

/** User-defined chains as `table chain`, and rules as `table chain rule`. */
const content = async (iptables: FakeIptables): Promise<readonly string[]> => {
  const { tables } = await iptables.save(signal)
  return tables.flatMap(({ name, chains, rules }) => [
    ...[...chains.values()].flatMap(({ name: chain, policy }) => (policy === undefined ? [`${name} ${chain}`] : [])),
    ...rules.map(({ chain, rule }) => `${name} ${chain} ${rule}`),
  ])
}

const services = jump('KUBE-SERVICES', 'kubernetes service portals')
const firewall = jump('KUBE-PROXY-FIREWALL', 'kubernetes load balancer firewall', '-m', 'conntrack', '--ctstate', 'NEW')

/** A node where mode iptables has taken over from kube-proxy in mode ipvs. */
const afterIpvs = (): readonly TableChange[] => [
  table(
    'nat',
    ['KUBE-SERVICES', 'KUBE-MARK-MASQ', 'KUBE-NODE-PORT', 'KUBE-LOAD-BALANCER', `KUBE-SVC-${hash}`, `KUBE-XLB-${hash}`],
    [
      ['PREROUTING', services],
      ['KUBE-SERVICES', jump(`KUBE-SVC-${hash}`)],
      ['KUBE-NODE-PORT', jump('KUBE-MARK-MASQ')],
      ['KUBE-LOAD-BALANCER', jump('KUBE-MARK-MASQ')],
      [`KUBE-XLB-${hash}`, jump(`KUBE-SVC-${hash}`)],
    ],
  ),
  table(
    'filter',
    [
      'KUBE-FIREWALL',
      'KUBE-PROXY-FIREWALL',
      'KUBE-NODE-PORT',
      'KUBE-SOURCE-RANGES-FIREWALL',
      'KUBE-IPVS-FILTER',
      'KUBE-IPVS-OUT-FILTER',
    ],
    [
      ['INPUT', jump('KUBE-FIREWALL')],
      ['INPUT', firewall],
      ['INPUT', jump('KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules')],
      ['FORWARD', jump('KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules')],
      ['INPUT', jump('KUBE-NODE-PORT', 'kubernetes health check rules')],
      ['INPUT', jump('KUBE-IPVS-FILTER', 'kubernetes ipvs access filter')],
      ['OUTPUT', jump('KUBE-IPVS-OUT-FILTER', 'kubernetes ipvs access filter')],
      ['KUBE-FIREWALL', localnet],
      ['KUBE-SOURCE-RANGES-FIREWALL', jump('DROP')],
    ],
  ),
  table('mangle', ['KUBE-PROXY-CANARY']),
]

describe('where mode iptables runs', () => {
  it('what it has stays, what mode ipvs alone has goes', async () => {
    const iptables = await programmed(...afterIpvs())
    const { counts, left, errors } = await remove(iptables, 'iptables')
    expect([counts.chains, counts.jumps, left, errors]).toEqual([7, 5, [], []])
    expect(await content(iptables)).toEqual([
      'mangle KUBE-PROXY-CANARY',
      'nat KUBE-SERVICES',
      'nat KUBE-MARK-MASQ',
      `nat KUBE-SVC-${hash}`,
      `nat PREROUTING ${services}`,
      `nat KUBE-SERVICES -j KUBE-SVC-${hash}`,
      'filter KUBE-FIREWALL',
      'filter KUBE-PROXY-FIREWALL',
      'filter INPUT -j KUBE-FIREWALL',
      `filter INPUT ${firewall}`,
      `filter KUBE-FIREWALL ${localnet}`,
    ])
  })

  it('chains of our own layouts stay', async () => {
    const iptables = await programmed(table('nat', ['WEIR-SVC-0A', 'KUBE-NODEPORTS']))
    expect((await remove(iptables, 'iptables')).counts.chains).toBe(0)
    expect(iptables.restores).toHaveLength(1)
  })
})

/** A node where mode ipvs has taken over from mode iptables. */
const afterIptables = (): readonly TableChange[] => [
  table(
    'nat',
    ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-MARK-MASQ', 'KUBE-NODE-PORT', `KUBE-SVC-${hash}`, 'WEIR-SERVICES'],
    [
      ['PREROUTING', services],
      ['KUBE-SERVICES', jump('KUBE-NODE-PORT')],
      ['KUBE-NODEPORTS', jump(`KUBE-SVC-${hash}`)],
      ['WEIR-SERVICES', jump(`KUBE-SVC-${hash}`)],
    ],
  ),
  table(
    'filter',
    [
      'KUBE-SERVICES',
      'KUBE-EXTERNAL-SERVICES',
      'KUBE-NODEPORTS',
      'KUBE-FIREWALL',
      'KUBE-PROXY-FIREWALL',
      'KUBE-IPVS-FILTER',
    ],
    [
      ['INPUT', jump('KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules')],
      ['INPUT', jump('KUBE-FIREWALL')],
      ['INPUT', firewall],
      ['INPUT', jump('KUBE-NODEPORTS', 'kubernetes health check service ports')],
      ['FORWARD', jump('KUBE-SERVICES', 'kubernetes service portals', '-m', 'conntrack', '--ctstate', 'NEW')],
      ['KUBE-FIREWALL', localnet],
    ],
  ),
  table('mangle', ['KUBE-PROXY-CANARY', 'WEIR-IPVS-INPUT'], [['INPUT', jump('WEIR-IPVS-INPUT')]]),
]

describe('where mode ipvs runs', () => {
  it('what it has stays, what mode iptables alone has goes', async () => {
    const iptables = await programmed(...afterIptables())
    const { counts, left, errors } = await remove(iptables, 'ipvs')
    expect([counts.chains, counts.jumps, left, errors]).toEqual([8, 4, [], []])
    expect(await content(iptables)).toEqual([
      'mangle WEIR-IPVS-INPUT',
      'mangle INPUT -j WEIR-IPVS-INPUT',
      'nat KUBE-SERVICES',
      'nat KUBE-MARK-MASQ',
      'nat KUBE-NODE-PORT',
      `nat PREROUTING ${services}`,
      'nat KUBE-SERVICES -j KUBE-NODE-PORT',
      'filter KUBE-PROXY-FIREWALL',
      'filter KUBE-IPVS-FILTER',
      `filter INPUT ${jump('KUBE-PROXY-FIREWALL', 'kube-proxy firewall rules')}`,
    ])
  })

  it('its chains of table mangle go where mode iptables runs', async () => {
    const iptables = await programmed(...afterIptables())
    await remove(iptables, 'iptables')
    expect((await content(iptables)).filter((line) => line.startsWith('mangle'))).toEqual(['mangle KUBE-PROXY-CANARY'])
  })
})

describe('where neither runs', () => {
  it('all of it goes', async () => {
    const iptables = await programmed(...afterIpvs())
    const { left, errors } = await remove(iptables)
    expect([left, errors, await content(iptables)]).toEqual([[], [], []])
  })

  it('chains of our own layouts go, with what leads to them', async () => {
    const iptables = await programmed(
      table(
        'nat',
        ['KUBE-SERVICES', 'WEIR-A', 'WEIR-B', 'weir-c'],
        [
          ['KUBE-SERVICES', jump('WEIR-A')],
          ['WEIR-A', jump('WEIR-B')],
          ['OUTPUT', jump('WEIR-B')],
          ['OUTPUT', jump('weir-c')],
        ],
      ),
      table('raw', ['WEIR-A']),
    )
    const { counts, left } = await remove(iptables)
    expect([counts.chains, counts.jumps, left]).toEqual([3, 1, []])
    expect(await content(iptables)).toEqual(['raw WEIR-A', 'nat weir-c', 'nat OUTPUT -j weir-c'])
  })
})

describe('KUBE-FIREWALL', () => {
  const shared = (rule = localnet): TableChange =>
    table(
      'filter',
      ['KUBE-FIREWALL'],
      [
        ['INPUT', jump('KUBE-FIREWALL')],
        ['OUTPUT', jump('KUBE-FIREWALL')],
        ['KUBE-FIREWALL', rule],
      ],
    )

  it.each(['KUBE-KUBELET-CANARY', 'KUBE-IPTABLES-HINT'])('is kubelet’s where there is %s', async (chain) => {
    const iptables = await programmed(shared(), table('mangle', [chain]))
    const before = await content(iptables)
    expect(await remove(iptables)).toMatchObject({ counts: { chains: 0, jumps: 0 }, left: [] })
    expect(await content(iptables)).toEqual(before)
  })

  it('is ours otherwise', async () => {
    const iptables = await programmed(shared(), table('nat', ['KUBE-KUBELET-CANARY']))
    expect(await remove(iptables)).toMatchObject({ counts: { chains: 1, jumps: 2 }, left: [] })
    expect(await content(iptables)).toEqual(['nat KUBE-KUBELET-CANARY'])
  })

  it('stays with rules that kube-proxy does not put there', async () => {
    const iptables = await programmed(shared(jump('DROP', 'an administrator’s')))
    expect((await remove(iptables)).counts).toMatchObject({ chains: 0, jumps: 0 })
  })

  it('stays where table mangle cannot be read', async () => {
    const iptables = await programmed(shared())
    const { tables } = await iptables.save(signal)
    iptables.save = async () => ({ tables, incompatible: ['mangle'] })
    expect(await remove(iptables)).toMatchObject({ counts: { chains: 0, jumps: 0 } })
  })
})
