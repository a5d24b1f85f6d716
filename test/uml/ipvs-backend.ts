/**
 * For the guest: mode ipvs on a kernel that has IPVS, as processes of weir come, go and start again, with connections open
 * meanwhile. Prints what was found beside what was wanted (comparison.ts).
 */
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { prepareIpvs } from '../../src/backends/ipvs/prepare.ts'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { ProcSysctl } from '../../src/kernel/sysctl/proc-sysctl.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { type Family, families, type IP } from '../../src/model/ip.ts'
import { RealIpvsRig } from '../kernel/sync-ipvs-real.ts'
import { cidr, endpoint, ip, key, node, port, service, servicePort, slice } from '../property/track-objects.ts'
import type { Held, Outcome } from '../support/host-protocol.ts'
import { Scene } from '../support/scene.ts'
import { writeComparison } from './comparison.ts'

const { signal } = new AbortController()
const run = (command: string): string => {
  const [program = '', ...args] = command.split(' ')
  return execFileSync(program, args, { encoding: 'utf8' })
}
/** Without stopping this process, whose own programs may have the xtables lock. */
const meddle = async (command: string): Promise<void> => {
  const [program = '', ...args] = command.split(' ')
  await promisify(execFile)(program, args)
}

const scene = await Scene.create()
const podNames = ['a', 'b', 'c'] as const
const client = await scene.addHost('client', { ipv4: '198.51.100.7', ipv6: '2001:db8:198::7' })
for (const [i, name] of podNames.entries()) {
  const pod = await scene.addHost(name, { ipv4: `10.244.0.${i + 1}`, ipv6: `fd00:244::${i + 1}` })
  await pod.listen('TCP', 8080)
}

const ipvs = new NetlinkIpvs()
await prepareIpvs(
  {
    ...{ ipvs, sysctl: new ProcSysctl(), scheduler: 'rr', strictArp: false },
    timeouts: { tcp: 0, tcpFin: 0, udp: 0 },
    onError: (error) => console.error(error),
  },
  signal,
)

const addresses: readonly IP[] = [ip('192.0.2.10'), ip('2001:db8::10')]
const put = (name: string, over: Parameters<typeof service>[1]): ModelChange => ({
  kind: 'service',
  key: key(`ns/${name}`),
  value: service(`ns/${name}`, over),
})
const endpointsOf = (name: string, ips: Readonly<Record<Family, readonly string[]>>): readonly ModelChange[] =>
  families.map((family) => {
    const value = slice(
      `ns/${name}-${family === 'IPv4' ? 1 : 2}`,
      ips[family].map((each) => endpoint(each, { nodeName: 'here' })),
      { family, service: key(`ns/${name}`) },
    )
    return { kind: 'slice', key: value.key, value }
  })
const pods = (...digits: readonly number[]): readonly ModelChange[] =>
  endpointsOf('web', {
    IPv4: digits.map((digit) => `10.244.0.${digit}`),
    IPv6: digits.map((digit) => `fd00:244::${digit}`),
  })
const cluster: readonly ModelChange[] = [
  { kind: 'node', value: node({ addresses, podCidrs: [cidr('10.244.0.0/24'), cidr('fd00:244::/64')] }) },
  put('web', {
    clusterIPs: [ip('10.96.0.1'), ip('fd00:96::1')],
    ports: [servicePort({ nodePort: port(30_001) })],
  }),
]

const begin = async (...changes: readonly ModelChange[]): Promise<RealIpvsRig> => {
  const rig = new RealIpvsRig()
  rig.apply(...cluster, ...changes)
  rig.setAddresses(addresses)
  await rig.mustSync()
  return rig
}
const sync = async (rig: RealIpvsRig, ...changes: readonly ModelChange[]): Promise<void> => {
  rig.apply(...changes)
  await rig.mustSync()
}
/** As ipvsadm has them, in the kernel's order: `10.244.0.1:1`, address and weight. */
const weights = (address = '10.96.0.1:80'): string =>
  [...run('ipvsadm -Sn').matchAll(new RegExp(`^-a -t ${address} -r (\\S+):8080 -m -w (\\d+)`, 'gm'))]
    .map(([, host, weight]) => `${host}:${weight}`)
    .join(' ')
const eventually = async (probe: () => boolean | Promise<boolean>, seconds: number): Promise<boolean> => {
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; await sleep(100))
    if (await probe()) return true
  return false
}
const web = { address: '10.96.0.1', port: 80 }
const whoAnswers = async (count: number): Promise<string> => {
  const outcomes = await client.connect({ ...web, count, parallel: 1 })
  return [...new Set(outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.name : outcome.kind)))]
    .sort()
    .join(' ')
}
const holdWith = async (name: string): Promise<Held> => {
  for (let tries = 0; tries < 10; tries++) {
    const held = await client.hold(web)
    if (held.outcome.kind === 'answered' && held.outcome.name === name) return held
  }
  throw new Error(`no connection to ${name}`)
}
/** The very connection: its endpoint sees the same port. */
const isIntact = async ({ connection, outcome }: Held): Promise<boolean> => {
  const now: Outcome = await client.again(connection)
  if (now.kind !== 'answered' || outcome.kind !== 'answered') return false
  return now.name === outcome.name && now.peerPort === outcome.peerPort
}

// A cold start.
run('ipvsadm -A -t 203.0.113.99:80 -s wlc')
run('ipvsadm -a -t 203.0.113.99:80 -r 10.9.9.9:80 -m')
let weir = await begin(...pods(1, 2))
writeComparison('a cold start: real servers in their order', weights(), '10.244.0.1:1 10.244.0.2:1')
writeComparison('IPv6', weights('\\[fd00:96::1\\]:80'), '[fd00:244::1]:1 [fd00:244::2]:1')
writeComparison('a NodePort', weights('192.0.2.10:30001'), '10.244.0.1:1 10.244.0.2:1')
writeComparison('everyone answers', await whoAnswers(4), 'a b')
writeComparison('what is not ours stays', run('ipvsadm -Sn').includes('-a -t 203.0.113.99:80 -r 10.9.9.9:80'), true)
writeComparison('an address of kube-ipvs0', run('ip -4 -o addr show kube-ipvs0').includes('10.96.0.1/32'), true)

// A restart finds all done.
weir.close()
weir = await begin(...pods(1, 2))
writeComparison('a restart changes nothing', weir.journal.lines, [])

// Changes.
weir.journal.begin()
await sync(weir, ...pods(1, 2, 3))
writeComparison('an endpoint comes: two requests a family', weir.journal.requests, 4)
writeComparison('and the third answers', await whoAnswers(6), 'a b c')
const before = run('ipvsadm -Sn')
await sync(
  weir,
  put('web', {
    ...{ clusterIPs: [ip('10.96.0.1'), ip('fd00:96::1')], ports: [servicePort({ nodePort: port(30_001) })] },
    scheduling: { scheduler: 'twos', flags: [], weights: undefined },
  }),
)
writeComparison('a scheduler that this kernel lacks', run('ipvsadm -Sn'), before)
writeComparison(
  'is reported once',
  weir.problems.map(({ field, reason }) => `${field}: ${reason}`),
  [
    'metadata.annotations[weir.dev/scheduler]: this kernel has no scheduler "twos" (module ip_vs_twos), so "rr" is used',
  ],
)
await sync(weir, ...cluster)

// Draining.
await sync(weir, ...pods(1, 2, 4))
await sync(weir, ...pods(1, 2))
const isGone = await eventually(() => !weights().includes('0.4'), 2)
writeComparison('who has never had a connection goes at once', isGone, true)
const held = await holdWith('b')
await sync(weir, ...pods(1))
writeComparison('who has connections gets weight 0', weights(), '10.244.0.1:1 10.244.0.2:0 10.244.0.3:0')
writeComparison('it is counted', weir.backends[0]?.counts().get('draining-real-servers'), 2)
writeComparison('its connection goes on', await isIntact(held), true)
writeComparison('it gets nothing new', await whoAnswers(4), 'a')
weir.close()
weir = await begin(...pods(1))
writeComparison('a restart: it still drains', weights(), '10.244.0.1:1 10.244.0.2:0 10.244.0.3:0')
writeComparison('and its connection goes on', await isIntact(held), true)
weir.journal.begin()
await sync(weir, ...pods(1, 2))
writeComparison(
  'it comes back: raised, not made anew',
  weir.journal.lines.filter((line) => line.includes(' 10.96.0.1:80 ')),
  ['-e -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 1'],
)
writeComparison('with its connection', await isIntact(held), true)
writeComparison('and gets new ones', await whoAnswers(4), 'a b')
await client.release(held.connection)

const socket = connect({ host: '10.96.0.1', port: 80 })
await once(socket, 'connect')
await sync(weir, ...pods(3))
await sleep(5_000)
const drains = (): number => weir.backends[0]?.counts().get('draining-real-servers') ?? 0
writeComparison('the node’s own connection keeps its endpoint', drains() > 0, true)
socket.resetAndDestroy()
await sync(weir, ...pods(1))
weir.close()
weir = new RealIpvsRig({ drainMs: 1_000 })
weir.apply(...cluster, ...pods(1))
weir.setAddresses(addresses)
await weir.mustSync()
await eventually(() => weights() === '10.244.0.1:1', 60)
writeComparison(
  'after the limit all go',
  { left: weights(), drifts: weir.drifts },
  { left: '10.244.0.1:1', drifts: [] },
)

// Refusals.
weir.apply(
  put('bad', { clusterIPs: [ip('10.96.0.66')] }),
  ...endpointsOf('bad', { IPv4: ['10.244.0.1', '224.0.0.1'], IPv6: [] }),
  put('good', { clusterIPs: [ip('10.96.0.67')] }),
  ...endpointsOf('good', { IPv4: ['10.244.0.1'], IPv6: [] }),
)
const refusal = await weir.sync()
writeComparison('the kernel refuses an endpoint', String(refusal).includes('224.0.0.1:8080 -m -w 1: EINVAL'), true)
writeComparison('and of others nothing', weights('10.96.0.67:80'), '10.244.0.1:1')
while ((await weir.sync()) !== undefined) await sleep(10)
writeComparison('that Service is left out', [...(weir.families[0]?.leftOut().keys() ?? [])], ['ns/bad'])
writeComparison('and nothing of it is there', /10\.96\.0\.66/.test(run('ipvsadm -Sn') + run('ipset save')), false)
await sync(weir, { kind: 'service', key: key('ns/bad'), value: undefined })

// Drift.
const stop = new AbortController()
const looping = weir.loop.run(stop.signal, signal)
const addressesOfDevice = (): string =>
  run('ip -o addr')
    .split('\n')
    .filter((line) => line.includes(' kube-ipvs0 ') && !line.includes('fe80'))
    .map((line) => line.replace(/^\d+/, ''))
    .join('\n')
const state = (): string =>
  [run('ipvsadm -Sn'), run('ipset save'), addressesOfDevice()]
    .map((text) => text.split('\n').sort().join('\n'))
    .join('\n')
const rules = (): string =>
  run('iptables-legacy-save')
    .split('\n')
    .filter((line) => line.startsWith('-A'))
    .join('\n')
await sleep(1_000)
run('ipvsadm -D -t 203.0.113.99:80')
await sleep(3_000)
const whole = `${state()}${rules()}`
for (const command of [
  'ipvsadm -C',
  'ipvsadm -D -t 10.96.0.1:80',
  'ip link del kube-ipvs0',
  'ip link set kube-ipvs0 down',
  'ip addr del 10.96.0.1/32 dev kube-ipvs0',
  'ip -6 addr flush dev kube-ipvs0',
  'ipset flush KUBE-CLUSTER-IP',
  'iptables-legacy -t mangle -F',
  'iptables-legacy -t nat -F KUBE-SERVICES',
]) {
  await meddle(command)
  const repaired = await eventually(() => `${state()}${rules()}` === whole, 20)
  writeComparison(
    `undone within seconds: ${command}`,
    repaired ? 'yes' : `${state()}${rules()}`,
    repaired ? 'yes' : whole,
  )
}
stop.abort()
weir.loop.hostChanged()
await looping

// Clean-up.
run('ipvsadm -A -t 203.0.113.99:80 -s wlc')
for (const backend of weir.backends) await backend.cleanup(signal)
writeComparison('nothing of ours is left', run('ipvsadm -Sn').trim(), '-A -t 203.0.113.99:80 -s wlc')
writeComparison('no set', run('ipset save'), '')
writeComparison('no rule', /KUBE|WEIR/.test(run('iptables-legacy-save') + run('ip6tables-legacy-save')), false)
writeComparison('no device', run('ip -o link').includes('kube-ipvs0'), false)
weir.close()
ipvs.close()
await scene.close()
