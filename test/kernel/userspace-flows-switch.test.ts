/** The node goes to mode userspace and on from it, each time by a restart: nothing is left of the mode before. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { type Net, nets, nodeName, port } from '../flows/net.ts'
import { exposed, ready } from '../flows/objects.ts'
import type { Held } from '../support/host-protocol.ts'
import { ownNamespace } from '../support/namespace.ts'
import { eventually, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()

const servedNets: readonly Net[] = nets
const objects = servedNets.flatMap((net) => {
  const name = `web-${net.family.toLowerCase()}`
  const slice = ready(net, 'TCP', 'pod-1')
  const metadata = { name, namespace: 'test', labels: { 'kubernetes.io/service-name': name } }
  return [
    exposed(net, 'TCP', { name, port: { nodePort: net.family === 'IPv4' ? 30_081 : 30_082 } }),
    { ...slice, metadata },
  ]
})
writeFileSync(
  join(folder, 'cluster.json'),
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }),
)

/** What is ours in the kernel: tables of nftables, and whether iptables has chains of ours. */
const ours = (): readonly string[] => {
  const tables = [...sh('nft list tables').matchAll(/^table (ip6? weir\S*)$/gm)].map(([, name]) => name ?? '')
  const chains = ['iptables-nft-save', 'ip6tables-nft-save'].filter((program) => /^:KUBE-/m.test(sh(program)))
  return [...tables, ...chains].sort()
}

const modes = {
  nftables: { flags: ['--proxy-mode', 'nftables'], own: ['ip weir', 'ip6 weir'], saw: 'client' },
  userspace: { flags: ['--proxy-mode', 'userspace'], own: ['ip weir-userspace', 'ip6 weir-userspace'], saw: 'node' },
  iptables: {
    flags: ['--proxy-mode', 'iptables', '--iptables-variant', 'nft'],
    own: ['ip6tables-nft-save', 'iptables-nft-save'],
    saw: 'client',
  },
} as const

const way = ['nftables', 'userspace', 'iptables', 'userspace', 'nftables'] as const

interface Kept {
  readonly net: Net
  readonly held: Held
}

const hold = (): Promise<readonly Kept[]> =>
  Promise.all(
    servedNets.map(async (net) => ({
      net,
      held: await stage.host('remote-2').hold({ address: net.clusterIP(1), port, timeoutMs: 5_000 }),
    })),
  )

t.test('to userspace and on', async (t) => {
  const before = sh('nft list ruleset')
  let kept: readonly Kept[] = []
  let last: keyof typeof modes | undefined
  for (const mode of way) {
    const { flags, own, saw } = modes[mode]
    const weir = startWeir(t, [
      ...['run', '--manifests', folder, '--hostname-override', nodeName, '--userspace-drain-timeout', '0s', ...flags],
      ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
    ])
    await weir.serving()
    const left = await eventually(ours, (list) => list.join() === own.join(), 15_000).catch(ours)
    t.same(left, own, `${mode}: no residue of other modes`)
    for (const net of servedNets) {
      const outcome = await stage.host('remote-2').ask({ address: net.clusterIP(1), port, timeoutMs: 5_000 })
      const peer = net.at[saw === 'node' ? 'node' : 'remote-2']
      t.match(outcome, { kind: 'answered', name: 'pod-1', peer }, `${mode}: new connections are served, ${net.family}`)
    }
    for (const { net, held } of kept) {
      const now = await stage.host('remote-2').again(held.connection)
      const what = `${net.family} connections of ${last}`
      if (last === 'userspace') t.notSame(now, held.outcome, `${what} ended with the process`)
      else t.same(now, held.outcome, `${what} go on`)
      await stage.host('remote-2').release(held.connection)
    }
    kept = await hold()
    last = mode
    t.equal((await weir.end()).status, 0)
  }
  for (const { held } of kept) await stage.host('remote-2').release(held.connection)
  t.equal((await runWeir(['cleanup'])).status, 0)
  t.same(ours(), [])
  const rest = sh('nft list ruleset').replaceAll(/^table ip6? (?:nat|filter|mangle) \{\n(?:\t[^\n]*\n|\n)*\}\n/gm, '')
  t.equal(rest, before, 'after clean-up everything is as it was')
})
