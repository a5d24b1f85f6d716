import { describe, expect, it } from 'vitest'
import { FatalError } from '../../../src/cli/fatal.ts'
import { type ChosenTools, chooseTools, type ToolSources } from '../../../src/cli/iptables-tools.ts'
import type { IptablesVariant } from '../../../src/config/weir-section.ts'
import { fakeRun } from '../../../src/kernel/exec/fake-run.ts'

const { signal } = new AbortController()

type Programs = Parameters<typeof fakeRun>[0]

interface Installed {
  readonly version?: string
  /** What -save prints. */
  readonly saved?: string
  readonly failure?: string
}

/** The three programs of one variant and family. */
const installed = (name: string, { version = '1.8.9', saved = '', failure }: Installed = {}): Programs => ({
  [name]: () => `${name.replace(/-.*/, '')} v${version} (${name.endsWith('nft') ? 'nf_tables' : 'legacy'})\n`,
  [`${name}-save`]: () => (failure === undefined ? saved : { status: 4, stdout: '', stderr: failure }),
  [`${name}-restore`]: () => '',
})

const both = (variant: 'nft' | 'legacy', options: Installed = {}): Programs => ({
  ...installed(`iptables-${variant}`, options),
  ...installed(`ip6tables-${variant}`, options),
})

const canary = '*mangle\n:KUBE-KUBELET-CANARY - [0:0]\nCOMMIT\n'
const services = '*nat\n:KUBE-SERVICES - [0:0]\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j KUBE-SERVICES\nCOMMIT\n'

const choose = async (
  programs: Programs,
  wanted: IptablesVariant = 'auto',
  sources: ToolSources = {},
): Promise<ChosenTools & { readonly lines: readonly string[] }> => {
  const lines: string[] = []
  const log = (level: string) => (line: unknown) => void lines.push(`${level}: ${String(line)}`)
  const chosen = await chooseTools(wanted, { info: log('I'), warn: log('W') }, signal, {
    run: fakeRun(programs).run,
    ipv6: async () => true,
    obstacle: async () => undefined,
    ...sources,
  })
  return { ...chosen, lines }
}

const programs = ({ tools }: ChosenTools): readonly string[] => [...tools.values()].map(({ program }) => program)

describe('the variant', () => {
  it('is nft on a clean node that has both', async () => {
    const chosen = await choose({ ...both('legacy'), ...both('nft') })
    expect([chosen.variant, programs(chosen), chosen.lines]).toEqual(['nft', ['iptables-nft', 'ip6tables-nft'], []])
  })

  it('is the one that kubelet uses', async () => {
    const chosen = await choose({ ...both('nft', { saved: canary }), ...both('legacy') })
    expect(chosen.variant).toBe('nft')
  })

  it('is the only one that is installed', async () => {
    expect(await choose(both('legacy'))).toMatchObject({ variant: 'legacy', lines: [] })
  })

  it('is the one that is wanted, whatever the node uses', async () => {
    const chosen = await choose({ ...both('nft', { saved: services }), ...both('legacy') }, 'legacy')
    expect([chosen.variant, programs(chosen)]).toEqual(['legacy', ['iptables-legacy', 'ip6tables-legacy']])
  })

  it.each(['nft', 'legacy'] as const)('cannot be %s where that is not installed', async (wanted) => {
    const chosen = choose(both(wanted === 'nft' ? 'legacy' : 'nft'), wanted)
    await expect(chosen).rejects.toThrow(
      new FatalError(`the ${wanted} variant of iptables is wanted, but not installed`),
    )
  })
})

describe('what ends the process', () => {
  it('no iptables', async () => {
    const line = 'the program `iptables` is not installed (Debian package iptables)'
    await expect(choose({})).rejects.toThrow(new FatalError(line))
  })

  it('no permission', async () => {
    const refused =
      'iptables v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)'
    await expect(choose(both('nft', { failure: refused }))).rejects.toThrow(
      new FatalError(
        'no permission to change iptables: CAP_NET_ADMIN is needed, for the legacy variant CAP_NET_RAW too',
      ),
    )
  })

  it('a kernel that has no table nat for either family', async () => {
    const obstacle = async (): Promise<string> => 'the kernel has no table nat (module iptable_nat)'
    await expect(choose(both('legacy'), 'auto', { obstacle })).rejects.toThrow(
      new FatalError('iptables cannot be used: the kernel has no table nat (module iptable_nat)'),
    )
  })
})

it('takes the other variant where the kernel has no tables for the one that is usual', async () => {
  const obstacle: ToolSources['obstacle'] = async ({ variant }) => (variant === 'nft' ? 'no tables' : undefined)
  const all = { ...both('legacy'), ...both('nft') }
  const chosen = await choose(all, 'auto', { obstacle })
  expect([chosen.variant, programs(chosen), chosen.lines]).toEqual([
    'legacy',
    ['iptables-legacy', 'ip6tables-legacy'],
    ['W: the nft variant of iptables cannot be used: no tables; using legacy'],
  ])
  await expect(choose(all, 'nft', { obstacle })).rejects.toThrow('no tables')
  await expect(choose(both('nft'), 'auto', { obstacle })).rejects.toThrow('no tables')
})

describe('one family alone', () => {
  it('where IPv6 is off', async () => {
    const chosen = await choose(both('nft'), 'auto', { ipv6: async () => false })
    expect([programs(chosen), chosen.lines]).toEqual([
      ['iptables-nft'],
      ['I: IPv6 is off on this node: serving IPv4 only'],
    ])
  })

  it('where ip6tables is not installed', async () => {
    const chosen = await choose(installed('iptables-nft'))
    expect([programs(chosen), chosen.lines]).toEqual([
      ['iptables-nft'],
      ['W: ip6tables cannot be used: ip6tables is not installed; serving IPv4 only'],
    ])
  })

  it('where the kernel cannot do the other', async () => {
    const obstacle: ToolSources['obstacle'] = async ({ family }) => (family === 'IPv4' ? 'no table nat' : undefined)
    const chosen = await choose(both('nft'), 'auto', { obstacle })
    expect([programs(chosen), chosen.lines]).toEqual([
      ['ip6tables-nft'],
      ['W: iptables cannot be used: no table nat; serving IPv6 only'],
    ])
  })
})

it('warns of programs without --random-fully', async () => {
  const { tools, lines } = await choose(both('legacy', { version: '1.6.1' }))
  expect([...tools.values()].map(({ features }) => features.randomFully)).toEqual([false, false])
  expect(lines).toEqual(
    ['iptables', 'ip6tables'].map(
      (name) =>
        `W: ${name}-legacy 1.6.1 does not know --random-fully: source ports of masqueraded connections may collide`,
    ),
  )
})
