/**
 * For the guest: loads what renderIpvs says with the kernel's own tools, sends packets between a node, pods and clients, and
 * prints what became of them: a line of JSON each (layout-report.ts).
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { renderIpvs } from '../../src/backends/ipvs/text.ts'
import { families } from '../../src/model/ip.ts'
import type { Host } from '../support/host.ts'
import type { Outcome } from '../support/host-protocol.ts'
import { Scene } from '../support/scene.ts'
import { type Cluster, clusterOf, endpointPort, type HostName, hosts } from './layout-cluster.ts'
import { flowsOf } from './layout-flows.ts'
import { writeReport } from './layout-report.ts'

const clusters = families.map(clusterOf)
const [four, six] = clusters
if (four === undefined || six === undefined) throw new TypeError('two families')

const run = (command: string, args: readonly string[], input?: string): string =>
  execFileSync(command, args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) })

/** Each part of the text to the tool that its heading names. */
const load = ({ family, host, states }: Cluster): void => {
  const text = renderIpvs(host, states, { family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully: true })
  for (const part of text.split(/^# IPv[46]: /m).slice(1)) {
    const end = part.indexOf('\n')
    const [tool = '', ...args] = part.slice(0, end).split(' ')
    // This kernel has the older iptables alone.
    const program = tool.replace('tables-restore', 'tables-legacy-restore')
    try {
      run(program, args, part.slice(end + 1))
    } catch (error) {
      // The device is there already when the second family comes.
      if (tool !== 'ip') throw error
    }
  }
}

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

const scene = await Scene.create()
const all = new Map<HostName, Host>([['node', scene.node]])
await Promise.all(
  hosts.map(async (name) => all.set(name, await scene.addHost(name, { ipv4: four.at[name], ipv6: six.at[name] }))),
)
await Promise.all(
  (['pod', 'remote', 'node'] as const).flatMap((name) =>
    (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => all.get(name)?.listen(protocol, endpointPort)),
  ),
)
run('ipvsadm', ['-Ln'])
writeFileSync('/proc/sys/net/ipv4/vs/conntrack', '1')
for (const cluster of clusters) load(cluster)

for (const cluster of clusters) {
  const { family, clusterIP, at } = cluster
  await Promise.all(
    flowsOf(cluster).map(async ({ name, from, to, port, protocol, want }) => {
      const outcome = await all
        .get(from)
        ?.ask({ address: to, port, protocol, timeoutMs: want === 'timeout' ? 1_500 : 8_000 })
      const got = outcome === undefined ? 'no such host' : outcomeText(outcome)
      writeReport({ family, name: `${name}, from ${from}`, got, want })
    }),
  )
  for (const from of ['client', 'pod', 'node'] as const)
    for (const [name, to] of [
      ['cluster IP', clusterIP(1)],
      ['node', at.node],
    ] as const) {
      const version = family === 'IPv4' ? '-4' : '-6'
      const got = await all
        .get(from)
        ?.run(['busybox', 'ping', version, '-c', '1', '-W', '2', to])
        .then(
          () => 'answered',
          () => 'silence',
        )
      writeReport({ family, name: `S10.3 a ping of a ${name}, from ${from}`, got: got ?? '', want: 'answered' })
    }
}
if (process.argv.includes('--show'))
  for (const [command, ...args] of [
    ['ipvsadm', '-Ln'],
    ['ipvsadm', '-Lnc'],
    ['iptables-legacy-save', '-c'],
    ['ip6tables-legacy-save', '-c'],
    ['ipset', 'save'],
    ['ip', 'addr', 'show', 'kube-ipvs0'],
    ['conntrack', '-L'],
  ])
    process.stderr.write(run(command ?? '', args))
await scene.close()
