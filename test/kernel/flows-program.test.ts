/** The tables prove the parts wired together in the test; this proves that the program is those parts. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { summary } from '../compliance/run-flows.ts'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets, nodeName, nodePort, type Place, port } from '../flows/net.ts'
import { exposed, type Manifest, ready } from '../flows/objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { runWeir, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()

/** The one file of the folder, replaced as an editor does. */
const write = (objects: readonly Manifest[]): void => {
  writeFileSync(join(folder, 'next'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }))
  renameSync(join(folder, 'next'), join(folder, 'cluster.json'))
}

const ask = async (from: Place, address: string, at: number): Promise<readonly string[]> =>
  summary(await stage.host(from).connect({ address, port: at, count: 8, timeoutMs: 2_000 }))

const becomes = async (want: readonly string[], look: () => Promise<readonly string[]>): Promise<readonly string[]> => {
  for (let i = 0; i < 200; i++) {
    const seen = await look()
    if (seen.join() === want.join()) return seen
    await sleep(25)
  }
  return look()
}

for (const net of nets) {
  t.test(`weir run --manifests serves, follows changes, and leaves its rules, ${net.family}`, async (t) => {
    write([exposed(net, 'TCP'), ready(net, 'TCP', 'pod-1')])
    const weir = startWeir(t, [
      ...['run', '--manifests', folder, '--hostname-override', nodeName, '--proxy-mode', 'nftables'],
      ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
    ])
    await weir.serving()
    const direct = [`pod-1 answers ${net.at['pod-2']}`]
    t.same(await becomes(direct, () => ask('pod-2', net.clusterIP(1), port)), direct, 'ClusterIP')
    t.same(await ask('client', net.clusterIP(1), port), [`pod-1 answers ${net.at.node}`], 'ClusterIP from outside')
    t.same(await ask('client', net.at.node, nodePort), [`pod-1 answers ${net.at.node}`], 'NodePort')
    t.same(await ask('client', net.vip(1), port), [`pod-1 answers ${net.at.node}`], 'load balancer IP')

    write([exposed(net, 'TCP'), ready(net, 'TCP', 'remote-1')])
    const moved = [`remote-1 answers ${net.at['pod-2']}`]
    t.same(await becomes(moved, () => ask('pod-2', net.clusterIP(1), port)), moved, 'after a change')

    const { status } = await weir.end()
    t.equal(status, 0)
    t.same(await ask('pod-2', net.clusterIP(1), port), moved, 'the rules stay')
    t.equal((await runWeir(['cleanup'])).status, 0)
    t.same(await ask('pod-2', net.clusterIP(1), port), [`elsewhere answers ${net.at['pod-2']}`], 'and go when told to')
  })
}
