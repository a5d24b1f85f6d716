/** SCTP is none of a process that has sockets for TCP and UDP: such packets go where they would without us. */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { defaultSettings } from '../compliance/settings.ts'
import { Stage } from '../compliance/stage.ts'
import { UserspaceUnderTest } from '../compliance/userspace.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets, nodePort, port } from '../flows/net.ts'
import { exposed, ready } from '../flows/objects.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['SCTP'])
t.teardown(() => stage.close())
const backend = new UserspaceUnderTest()

t.notOk(backend.traits.sctp, 'the backend declares that it has no SCTP')

for (const net of nets) {
  const ip = net.family === 'IPv4' ? 'ip' : 'ip6'
  const fronts = [
    { what: 'ClusterIP', address: net.clusterIP(1), at: port },
    { what: 'external IP', address: net.externalIP(1), at: port },
    { what: 'load balancer IP', address: net.vip(1), at: port },
    { what: 'NodePort', address: net.at.node, at: nodePort },
  ]
  for (const pods of [['pod-1'], []] as const) {
    await t.test(`S1.3 SCTP goes on untouched, ${pods.length} endpoints, ${net.family}`, async (t) => {
      await backend.start(withNode([exposed(net, 'SCTP'), ready(net, 'SCTP', ...pods)]), defaultSettings)
      const rule = ({ address, at, what }: (typeof fronts)[number]): string =>
        `${ip} saddr ${net.at.client} ${ip} daddr ${address} sctp dport ${at} counter comment "${what}"`
      const chain = (hook: string): string =>
        `chain ${hook} { type filter hook ${hook} priority 300; ${fronts.map(rule).join('; ')}; }`
      execFileSync('nft', ['-f', '-'], { input: `table ${ip} probe { ${chain('forward')}; ${chain('input')}; }` })
      t.teardown(() => execFileSync('nft', ['delete', 'table', ip, 'probe']))
      for (const { what, address, at } of fronts) {
        const ask = { protocol: 'SCTP', address, port: at, timeoutMs: 300 } as const
        t.not((await stage.host('client').ask(ask)).kind, 'answered', what)
        const listing = execFileSync('nft', ['list', 'table', ip, 'probe'], { encoding: 'utf8' })
        t.match(listing, new RegExp(`packets [1-9]\\d* bytes \\d+ comment "${what}"`), `${what}: let through`)
      }
      await backend.stop()
      await backend.cleanup()
    })
  }
}
