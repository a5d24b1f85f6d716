import { execFileSync } from 'node:child_process'
import t from 'tap'
import { noCounts } from '../../src/backends/takeover/report.ts'
import { findLeftovers, removeLeftovers } from '../../src/backends/takeover/takeover.ts'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'
import {
  foreignPolicies,
  foreignRules,
  foreignTables,
  kubeProxyRules,
  kubeProxySetCommands,
  kubeProxyTables,
} from './takeover-fixture.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const sh = (command: readonly string[], input = ''): string => {
  const [program = '', ...args] = command
  return execFileSync(program, args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 1 << 28 })
}

const targets = variants.flatMap((variant) => families.map((family) => ({ variant, family })))
const tool = ({ variant, family }: (typeof targets)[number], kind: string): string =>
  `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}-${kind}`

/** Everything that this node's kernel holds, counters included; dates in comments aside. */
const snapshot = (): Record<string, string> => ({
  ...Object.fromEntries(
    targets.map((target) => [tool(target, 'save'), sh([tool(target, 'save'), '-c']).replaceAll(/^#.*\n/gm, '')]),
  ),
  nft: sh(['nft', '-a', 'list', 'ruleset']),
  sets: sh(['ipset', 'list', '-terse']).replaceAll(/^(?:Header|Size in memory|References):.*\n/gm, ''),
  links: sh(['ip', '-br', 'link']),
})

t.test('kube-proxy goes, in every variant and family, and nothing else changes', async (t) => {
  for (const target of targets) sh([tool(target, 'restore'), '--counters'], foreignRules(target.family))
  sh(['nft', '-f', '-'], foreignTables)
  sh(
    ['ipset', 'restore'],
    'create KUBE-FOREIGN hash:ip\ncreate KUBE-6-LOAD-BALANCER-SOURCE-CI hash:ip\nadd KUBE-FOREIGN 192.0.2.1\n',
  )
  sh(['ip', 'link', 'add', 'kube-ipvs1', 'type', 'bridge'])
  const before = snapshot()

  sh(['nft', '-f', '-'], kubeProxyTables)
  for (const family of families) sh(['ipset', 'restore'], kubeProxySetCommands(family))
  for (const target of targets)
    for (const mode of ['iptables', 'ipvs'] as const)
      sh([tool(target, 'restore'), '--noflush'], kubeProxyRules(target.family, mode))
  // Somebody moved one of kube-proxy's jumps into a chain of their own.
  const moved = '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
  for (const target of targets)
    sh([tool(target, 'restore'), '--noflush'], `*filter\n-I ufw-before-forward ${moved}\nCOMMIT\n`)
  for (const target of targets) sh([tool(target, 'restore'), '--counters', '--noflush'], foreignPolicies(target.family))
  sh(['ip', 'link', 'add', 'kube-ipvs0', 'type', 'bridge'])
  sh(['ip', 'addr', 'add', '10.96.0.10/32', 'dev', 'kube-ipvs0'])
  const programmed = snapshot()

  const found = await findLeftovers(signal)
  t.same(snapshot(), programmed, 'looking changes nothing')
  // Per variant and family: nat 7 + 2 × (5 + 3) chains, filter 10, mangle 1; jumps nat 6, filter 9 + 6 + 1.
  const counts = { nftTables: 2, chains: 4 * 34, jumps: 4 * 22, sets: 34, virtualServers: 0, devices: 1 }
  t.same(found.counts, counts)

  const report = await removeLeftovers(signal)
  t.same(report, { counts, left: [], errors: [] })
  t.same(snapshot(), before, 'foreign state is byte-identical')

  t.same((await findLeftovers(signal)).counts, noCounts, 'what others have is not mistaken for leftovers')
  const again = await removeLeftovers(signal)
  t.same(again, { counts: noCounts, left: [], errors: [] }, 'a second run finds nothing')
  t.same(snapshot(), before)
})
