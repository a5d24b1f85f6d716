/**
 * For the guest: loads what renderIpvs says with the kernel's own tools, sends packets between a node, pods and clients, and
 * prints what became of them: a line of JSON each (layout-report.ts).
 */
import { writeFileSync } from 'node:fs'
import { ipvsDevice } from '../../src/backends/ipvs/settings.ts'
import { families } from '../../src/model/ip.ts'
import type { Host } from '../support/host.ts'
import type { Outcome } from '../support/host-protocol.ts'
import { Scene } from '../support/scene.ts'
import { type Cluster, clusterOf, endpointPort, type HostName, hosts } from './layout-cluster.ts'
import { type Flow, flowsOf, variantsOf } from './layout-flows.ts'
import { load, readBack, reload, run, untilLocal } from './layout-load.ts'
import { writeReport } from './layout-report.ts'

const outcomeText = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case 'answered':
      return `${outcome.name} saw ${outcome.peer}`
    case 'failed':
      return outcome.code
    default:
      return outcome.kind
  }
}

const [four, six] = families.map(clusterOf)
if (four === undefined || six === undefined) throw new TypeError('a family is missing')
const clusters = [four, six]
const scene = await Scene.create()
const all = new Map<HostName, Host>([['node', scene.node]])
await Promise.all(
  hosts.map(async (name) => all.set(name, await scene.addHost(name, { ipv4: four.at[name], ipv6: six.at[name] }))),
)
const hostNamed = (name: HostName): Host => {
  const host = all.get(name)
  if (host === undefined) throw new TypeError(`no host ${name}`)
  return host
}
await Promise.all(
  (['pod', 'remote', 'node'] as const).flatMap((name) =>
    (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => hostNamed(name).listen(protocol, endpointPort)),
  ),
)

run('ipvsadm', ['-Ln'])
writeFileSync('/proc/sys/net/ipv4/vs/conntrack', '1')
for (const cluster of clusters) {
  load(cluster)
  readBack(cluster)
}
await untilLocal(ipvsDevice)

/**
 * Direct routing and tunnels: real servers have the addresses, and the node lets answers from them through. Packets come
 * out of a tunnel by the device that the kernel has for any sender.
 */
const tunnels = { IPv4: 'tunl0', IPv6: 'ip6tnl0' } as const
for (const module of ['ipip', 'ip6_tunnel']) run('modprobe', ['-d', '/run/modules', module])
for (const name of ['pod', 'remote'] as const) {
  for (const { clusterIP, vip } of clusters)
    for (const ip of name === 'remote' ? [clusterIP(13), clusterIP(15)] : [vip(14), vip(16)])
      await hostNamed(name).run(['ip', 'addr', 'add', ip, 'dev', 'lo'])
  for (const device of Object.values(tunnels)) await hostNamed(name).run(['ip', 'link', 'set', device, 'up'])
  writeFileSync(`/proc/sys/net/ipv4/conf/v-${name}/accept_local`, '1')
}

/** Whether anything has come out of a tunnel. */
const tunnelled = async ({ family }: Cluster, name: HostName): Promise<void> => {
  const text = await hostNamed(name).run(['ip', '-s', '-j', 'link', 'show', tunnels[family]])
  const [link] = JSON.parse(text) as readonly { readonly stats64: { readonly rx: { readonly packets: number } } }[]
  const got = (link?.stats64.rx.packets ?? 0) > 0 ? 'packets' : 'none'
  writeReport({ family, name: `what comes out of the tunnel to ${name}`, got, want: 'packets' })
}

const play = async ({ family }: Cluster, flows: readonly Flow[]): Promise<void> => {
  await Promise.all(
    flows.map(async ({ name, from, to, port, protocol, want }) => {
      const timeoutMs = want === 'timeout' ? 1_500 : 8_000
      const outcome = await hostNamed(from).ask({ address: to, port, protocol, timeoutMs })
      writeReport({ family, name: `${name}, from ${from}`, got: outcomeText(outcome), want })
    }),
  )
}

const ping = async ({ family, clusterIP }: Cluster, from: HostName): Promise<void> => {
  const version = family === 'IPv4' ? '-4' : '-6'
  const got = await hostNamed(from)
    .run(['busybox', 'ping', version, '-c', '1', '-W', '2', clusterIP(1)])
    .then(
      () => 'answered',
      () => 'silence',
    )
  writeReport({ family, name: `S10.3 a ping of a cluster IP, from ${from}`, got, want: 'answered' })
}

for (const cluster of clusters) {
  await play(cluster, flowsOf(cluster))
  for (const from of ['client', 'pod', 'node'] as const) await ping(cluster, from)
  for (const to of ['pod', 'remote'] as const) await tunnelled(cluster, to)
}
for (const cluster of clusters)
  for (const { host, flows } of variantsOf(cluster)) {
    reload(cluster, { ...cluster.host, ...host })
    await play(cluster, flows)
  }
await scene.close()
