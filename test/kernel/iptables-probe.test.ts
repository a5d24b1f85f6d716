/** Which variant a node uses, found out with the real programs, and that looking leaves no trace. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { detectVariant } from '../../src/kernel/iptables/detect-variant.ts'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { findTools, kernelObstacle } from '../../src/kernel/iptables/probe.ts'
import { families } from '../../src/model/ip.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const traces = (): readonly string[] => [
  ...['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names'].map((path) => readFileSync(path, 'utf8')),
  execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' }),
]
const iptables = (program: string, ...args: string[]): void => {
  execFileSync(program, args)
}

t.test('both are installed, and looking leaves nothing behind', async (t) => {
  for (const family of families) {
    const tools = await findTools(family, signal)
    for (const variant of variants) {
      const tool = tools.get(variant)
      t.match(tool, { variant, family, features: { randomFully: true, restoreWaits: true } })
      t.match(tool?.version?.text, /^1\.\d+\.\d+$/)
      if (tool !== undefined) t.equal(await kernelObstacle(tool, ['filter', 'nat', 'mangle'], signal), undefined)
    }
  }
  const detected = await detectVariant(families, signal)
  t.match(detected, { variant: 'nft', remarks: [] }, 'a clean node')
  t.strictSame(traces(), ['', '', ''])
})

t.test('the variant with more rules, and both are reported', async (t) => {
  for (const port of ['1', '2', '3'])
    iptables('iptables-legacy', '-A', 'INPUT', '-p', 'tcp', '--dport', port, '-j', 'ACCEPT')
  t.match(await detectVariant(families, signal), { variant: 'legacy', remarks: [] })
  iptables('ip6tables-nft', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE')
  iptables('iptables-nft', '-A', 'INPUT', '-j', 'ACCEPT')
  t.match(await detectVariant(families, signal), {
    variant: 'legacy',
    remarks: ['both variants of iptables hold rules: legacy (IPv4: filter 3), nft (IPv4: filter 1; IPv6: nat 1)'],
  })
  iptables('iptables-nft', '-t', 'mangle', '-N', 'KUBE-IPTABLES-HINT')
  t.equal((await detectVariant(families, signal))?.variant, 'nft', 'the hint of kubelet is stronger')
})

t.test('programs under their plain names', async (t) => {
  for (const variant of variants) {
    const folder = `/run/only-${variant}`
    mkdirSync(folder)
    for (const name of [
      'iptables',
      'iptables-save',
      'iptables-restore',
      'ip6tables',
      'ip6tables-save',
      'ip6tables-restore',
    ])
      symlinkSync(`/usr/sbin/xtables-${variant}-multi`, `${folder}/${name}`)
    const { PATH } = process.env
    process.env['PATH'] = folder
    try {
      const detected = await detectVariant(families, signal)
      t.equal(detected?.variant, variant)
      t.strictSame(detected?.remarks, [])
      for (const tool of detected?.tools.values() ?? []) {
        const { family, program } = tool
        const client = new IptablesClient(variant, family, { program })
        await client.restore([{ table: 'nat', statements: [{ kind: 'chain', chain: 'KUBE-A' }] }], signal)
        t.equal(await kernelObstacle(tool, ['nat'], signal), undefined)
        t.ok(
          (await client.save(signal)).tables.some(({ chains }) => chains.has('KUBE-A')),
          `${program} ${variant}`,
        )
      }
      t.equal(detected?.tools.size, 2)
    } finally {
      process.env['PATH'] = PATH
    }
  }
})

t.test('no program at all', async (t) => {
  const { PATH } = process.env
  process.env['PATH'] = '/run'
  try {
    t.equal(await detectVariant(families, signal), undefined)
  } finally {
    process.env['PATH'] = PATH
  }
})
