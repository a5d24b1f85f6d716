/** The whole program as a user without a single privilege: NodePorts, and a loopback port for each cluster IP. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { SocketStatus, UserspaceStatus } from '../../src/backends/userspace/status.ts'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { ipv4, ipv6, type Net, nets, nodeName, nodePort } from '../flows/net.ts'
import { exposed, ready } from '../flows/objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { eventually, runWeir, sh, startWeir } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP', 'UDP'])
const folder = mkdtempSync(join(tmpdir(), 'weir-unprivileged-'))
chmodSync(folder, 0o755)
t.teardown(async () => {
  rmSync(folder, { recursive: true })
  await stage.close()
})

const freeNodePort = 30_123
const protocols = ['TCP', 'UDP'] as const
const nobody = {
  through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'],
}

/** One Service whose NodePort a server of the node has, one whose NodePort is free, each in one family. */
const objects = protocols.flatMap((protocol) => {
  const word = protocol.toLowerCase()
  return [
    exposed(ipv4, protocol, { name: `taken-${word}`, port: { nodePort } }),
    ...[ready(ipv4, protocol, 'pod-1')].map((slice) => renamed(slice, `taken-${word}`)),
    exposed(ipv6, protocol, { name: `free-${word}`, port: { nodePort: freeNodePort } }),
    ...[ready(ipv6, protocol, 'remote-1')].map((slice) => renamed(slice, `free-${word}`)),
  ]
})

function renamed<T extends object>(slice: T, service: string): T {
  const metadata = { name: service, namespace: 'test', labels: { 'kubernetes.io/service-name': service } }
  return { ...slice, metadata }
}

const status = async (): Promise<UserspaceStatus> =>
  JSON.parse((await runWeir(['status', '--json'], nobody)).stdout) as UserspaceStatus

const socketsOf = async (name: string): Promise<readonly SocketStatus[]> =>
  (await status()).servicePorts.flatMap((port) => (port.name === `test/${name}` ? port.sockets : []))

const ask = async (net: Net, protocol: (typeof protocols)[number], port: number): Promise<string> => {
  const outcome = await stage.host('node').ask({ protocol, address: net.loopback, port, timeoutMs: 3_000 })
  return outcome.kind === 'answered' ? `${outcome.name} answers ${outcome.peer}` : outcome.kind
}

t.test('without privilege', async (t) => {
  writeFileSync(
    join(folder, 'cluster.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: withNode(objects) }),
  )
  const before = sh('nft list ruleset')
  const run = [
    ...['run', '--manifests', folder, '--hostname-override', nodeName, '--proxy-mode', 'userspace'],
    ...['--nodeport-addresses', '0.0.0.0/0,::/0'],
  ]
  const weir = startWeir(t, run, nobody)
  await weir.serving()
  t.match(weir.log, /Traffic cannot be redirected: .*CAP_NET_ADMIN.* Listening instead on NodePorts/, 'it says so')
  const isLoopback = ({ address }: SocketStatus): boolean => nets.some(({ loopback }) => address === loopback)
  const isClusterIP = (socket: SocketStatus): boolean => isLoopback(socket) && (socket.port ?? 30_000) < 30_000
  const ports = new Map<string, number>()
  for (const protocol of protocols) {
    const word = protocol.toLowerCase()
    const taken = await eventually(
      () => socketsOf(`taken-${word}`),
      (list) => list.length > 1,
    )
    const [loopback] = taken.filter(isClusterIP)
    ports.set(`taken-${word}`, loopback?.port ?? 0)
    t.ok((loopback?.port ?? 0) >= 20_000, `${protocol}: a loopback port for the cluster IP: ${loopback?.port}`)
    t.equal(await ask(ipv4, protocol, loopback?.port ?? 0), `pod-1 answers ${ipv4.at.node}`)
    const others = taken.filter((socket) => !isClusterIP(socket))
    t.ok(others.length > 0)
    for (const { address, port, error } of others) {
      t.equal(port, undefined, `${protocol}: the NodePort on ${address} cannot be had`)
      t.match(error, /30080.*EADDRINUSE/)
    }
    t.match(
      weir.log,
      new RegExp(`port 30080 ${word}: bind: EADDRINUSE; tried again.*taken-${word}`),
      'which is reported',
    )
    t.equal(await ask(ipv4, protocol, nodePort), `node answers ${ipv4.loopback}`, 'and whoever has it keeps it')

    const free = await socketsOf(`free-${word}`)
    t.same(
      free.filter(({ error }) => error !== undefined),
      [],
      'the rest works',
    )
    t.equal(await ask(ipv6, protocol, freeNodePort), `remote-1 answers ${ipv6.at.node}`, 'NodePort on ::1')
    const outside = await stage
      .host('client')
      .ask({ protocol, address: ipv6.at.node, port: freeNodePort, timeoutMs: 3_000 })
    t.match(outside, { kind: 'answered', name: 'remote-1' }, 'NodePort from outside')
  }
  const text = (await runWeir(['status'], nobody)).stdout
  t.match(text, /listening on NodePorts and loopback ports, without privilege/)
  t.match(text, new RegExp(`listens on 127\\.0\\.0\\.1:${ports.get('taken-tcp')}`))
  t.match(text, /not listening on .*30080.*EADDRINUSE/)

  await stage.host('node').unlisten('TCP', nodePort)
  const served = await eventually(
    () => ask(ipv4, 'TCP', nodePort),
    (seen) => seen.startsWith('pod-1'),
  )
  t.equal(served, `pod-1 answers ${ipv4.at.node}`, 'when the port is free it is taken at last')
  t.equal((await weir.end()).status, 0)

  const again = startWeir(t, run, nobody)
  await again.serving()
  for (const [name, port] of ports) {
    const sockets = await eventually(
      () => socketsOf(name),
      (list) => list.some(({ port }) => port !== undefined),
    )
    t.ok(
      sockets.some((socket) => socket.port === port),
      `${name}: the same loopback port after a restart`,
    )
  }
  t.equal((await again.end()).status, 0)
  t.equal(sh('nft list ruleset'), before, 'nothing of it in the kernel')
})
