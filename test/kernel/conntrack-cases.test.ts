/** The program and single entries of conntrack: what each kind of change makes of them. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Manifest } from '../apiserver/resources.ts'
import { ownNamespace } from '../support/namespace.ts'
import { node, type ServiceShape, service, slice, writeManifests } from './cli-manifests.ts'
import { eventually, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const nodeIP = '192.0.2.10'
const [here, there, elsewhere] = ['10.244.0.1', '10.244.1.1', '10.244.2.1']
const externalIP = '203.0.113.9'

interface Entry {
  readonly to: string
  /** Where it leads; undefined: it was not translated. */
  readonly at?: string
  readonly protocol?: 'udp' | 'tcp' | 'sctp' | 'icmp'
  /** Options of conntrack(8). */
  readonly more?: string
}

interface Case {
  readonly name: string
  /** `vip` is an address that no other case has. */
  readonly before: (vip: string) => readonly Manifest[]
  readonly after: readonly ((vip: string) => readonly Manifest[])[]
  readonly stay?: readonly ((vip: string) => Entry)[]
  readonly go?: readonly ((vip: string) => Entry)[]
}

type Endpoint = Parameters<typeof slice>[1][number]
const udp = (shape: Partial<ServiceShape> = {}) => ({ port: 53, protocol: 'UDP', ...shape })
/** A UDP Service and its endpoints. */
const dns = (
  shape: Partial<ServiceShape>,
  endpoints: readonly Endpoint[],
  { name = 'dns', port = 5353, protocol = 'UDP' } = {},
): ((vip: string) => readonly Manifest[]) => {
  return (vip) => [
    service(`${name}-${vip.replaceAll('.', '-')}`, { ip: vip, ...udp({ protocol }), ...shape }),
    slice(`${name}-${vip.replaceAll('.', '-')}`, endpoints, { port, protocol }),
  ]
}
const nothing = (): readonly Manifest[] => []
const both =
  (...all: readonly ((vip: string) => readonly Manifest[])[]) =>
  (vip: string): readonly Manifest[] =>
    all.flatMap((each) => each(vip))
const pod = (ip: string, conditions: Readonly<Record<string, boolean>>, nodeName = 'here'): Endpoint => ({
  addresses: [ip],
  conditions,
  nodeName,
})
const clusterIP = (at?: string, more: Partial<Entry> = {}) => {
  return (vip: string): Entry => ({ to: `${vip}:53`, ...(at !== undefined && { at }), ...more })
}
const entry = (to: string, at?: string, more: Partial<Entry> = {}) => {
  return (): Entry => ({ to, ...(at !== undefined && { at }), ...more })
}
/** Two slices of one Service. */
const slices =
  (first: readonly Endpoint[], second: readonly Endpoint[]) =>
  (vip: string): readonly Manifest[] => {
    const name = `dns-${vip.replaceAll('.', '-')}`
    const options = { port: 5353, protocol: 'UDP' }
    return [
      service(name, { ip: vip, ...udp() }),
      slice(name, first, { ...options, name: `${name}-a` }),
      slice(name, second, { ...options, name: `${name}-b` }),
    ]
  }
/** With the port called so in the Service and in its slice. */
const named = (portName: string, endpoints: readonly Endpoint[]) => (vip: string) =>
  dns({}, endpoints)(vip).map((manifest) => JSON.parse(JSON.stringify(manifest).replaceAll('"main"', `"${portName}"`)))

/** With a port that has no name, in a slice that has one for TCP as well. */
const unnamed = (endpoints: readonly Endpoint[]) => (vip: string) =>
  dns(
    {},
    endpoints,
  )(vip).map((manifest) =>
    JSON.parse(
      JSON.stringify(manifest)
        .replaceAll('"name":"main",', '')
        .replace(
          '"ports":[{"protocol":"UDP","port":5353}]',
          '"ports":[{"name":"","protocol":"UDP","port":5353},{"name":"web","protocol":"TCP","port":80}]',
        ),
    ),
  )

const cases: readonly Case[] = [
  {
    name: 'an endpoint goes, another comes',
    before: dns({}, [here]),
    after: [dns({}, [there])],
    go: [clusterIP(`${here}:5353`), clusterIP(`${here}:5353`, { more: '-u ASSURED,SEEN_REPLY' })],
    stay: [clusterIP(`${there}:5353`)],
  },
  {
    name: 'the endpoint has another port',
    before: dns({}, [here]),
    after: [dns({}, [here], { port: 5354 })],
    go: [clusterIP(`${here}:5353`)],
    stay: [clusterIP(`${here}:5354`)],
  },
  {
    name: 'deleted, and made again with another endpoint',
    before: dns({}, [here]),
    after: [nothing, dns({}, [there])],
    go: [clusterIP(`${here}:5353`), clusterIP()],
  },
  {
    name: 'deleted',
    before: dns({}, [here]),
    after: [nothing],
    go: [clusterIP(`${here}:5353`)],
    stay: [clusterIP(`${there}:5353`), clusterIP()],
  },
  {
    name: 'another Service has the address at once',
    before: dns({}, [here]),
    after: [dns({}, [there], { name: 'other' })],
    go: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'the endpoint moves to another slice',
    before: slices([here, there], []),
    after: [slices([there], [here])],
    stay: [clusterIP(`${here}:5353`), clusterIP(`${there}:5353`)],
  },
  {
    name: 'the port is called otherwise',
    before: named('main', [here]),
    after: [named('dns', [here])],
    stay: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'the port has no name, and the slice one of another protocol',
    before: unnamed([here, there]),
    after: [unnamed([there])],
    go: [clusterIP(`${here}:5353`)],
    stay: [clusterIP(`${there}:5353`)],
  },
  {
    name: 'not ready, but serving',
    before: dns({}, [here]),
    after: [dns({}, [pod(here, { ready: false, serving: true }), there])],
    stay: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'terminating, but serving',
    before: dns({}, [here]),
    after: [dns({}, [pod(here, { ready: false, serving: true, terminating: true }), there])],
    stay: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'neither ready nor serving',
    before: dns({}, [here]),
    after: [dns({}, [pod(here, { ready: false, serving: false }), there])],
    go: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'no endpoint at all',
    before: dns({ nodePort: 30_001, spec: { externalIPs: [externalIP] } }, [here]),
    after: [dns({ nodePort: 30_001, spec: { externalIPs: [externalIP] } }, [])],
    go: [
      clusterIP(`${here}:5353`),
      clusterIP(),
      entry(`${nodeIP}:30001`, `${here}:5353`),
      entry(`${nodeIP}:30001`),
      entry(`${externalIP}:53`, `${here}:5353`),
    ],
    stay: [entry('198.51.100.99:30001')],
  },
  {
    name: 'drained by weight 0',
    before: dns({}, [here, there]),
    after: [dns({ annotations: { 'weir.dev/weights': `{"${here}":0}` } }, [here, there])],
    stay: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'an external IP comes, and another goes',
    before: dns({ spec: { externalIPs: ['203.0.113.1'] } }, [here]),
    after: [dns({ spec: { externalIPs: ['203.0.113.2'] } }, [here])],
    go: [entry('203.0.113.1:53', `${here}:5353`), entry('203.0.113.2:53')],
    stay: [entry('203.0.113.1:53'), clusterIP(`${here}:5353`)],
  },
  {
    name: 'a load balancer IP goes',
    before: dns({ loadBalancerIP: '203.0.113.3' }, [here]),
    after: [dns({}, [here])],
    go: [entry('203.0.113.3:53', `${here}:5353`)],
    stay: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'source ranges leave a client out',
    before: dns({ loadBalancerIP: '203.0.113.3' }, [here]),
    after: [dns({ loadBalancerIP: '203.0.113.3', spec: { loadBalancerSourceRanges: ['192.0.2.0/24'] } }, [here])],
    stay: [entry('203.0.113.3:53', `${here}:5353`)],
  },
  {
    name: 'the NodePort is another number',
    before: dns({ nodePort: 30_002 }, [here]),
    after: [dns({ nodePort: 30_003 }, [here])],
    go: [entry(`${nodeIP}:30002`, `${here}:5353`), entry(`${nodeIP}:30003`)],
    stay: [entry(`${nodeIP}:30002`), entry(`${nodeIP}:30003`, `${here}:5353`), entry('198.51.100.99:30003')],
  },
  {
    name: 'two Services swap their NodePorts',
    before: (vip) => [
      ...dns({ nodePort: 30_004 }, [here], { name: 'a' })(vip),
      ...dns({ nodePort: 30_005 }, [there], { name: 'b' })(`${vip}0`),
    ],
    after: [
      (vip) => [
        ...dns({ nodePort: 30_005 }, [here], { name: 'a' })(vip),
        ...dns({ nodePort: 30_004 }, [there], { name: 'b' })(`${vip}0`),
      ],
    ],
    go: [entry(`${nodeIP}:30004`, `${here}:5353`), entry(`${nodeIP}:30005`, `${there}:5353`)],
    stay: [entry(`${nodeIP}:30004`, `${there}:5353`), entry(`${nodeIP}:30005`, `${here}:5353`)],
  },
  {
    name: 'an older Service takes the external IP',
    before: dns({ spec: { externalIPs: ['203.0.113.4'] } }, [here], { name: 'b' }),
    after: [
      (vip) => [
        ...dns({ spec: { externalIPs: ['203.0.113.4'] } }, [here], { name: 'b' })(vip),
        ...dns({ spec: { externalIPs: ['203.0.113.4'] } }, [there], { name: 'a' })(`${vip}0`),
      ],
    ],
    go: [entry('203.0.113.4:53', `${here}:5353`)],
    stay: [clusterIP(`${here}:5353`), entry('203.0.113.4:53', `${there}:5353`)],
  },
  {
    name: 'internalTrafficPolicy Local without a local endpoint',
    before: dns({}, [pod(there, { ready: true }, 'there')]),
    after: [dns({ spec: { internalTrafficPolicy: 'Local' } }, [pod(there, { ready: true }, 'there')])],
    stay: [clusterIP(`${there}:5353`)],
  },
  {
    name: 'headless from now on',
    before: dns({}, [here]),
    after: [dns({ spec: { clusterIP: 'None', clusterIPs: ['None'] } }, [here])],
    go: [clusterIP(`${here}:5353`)],
  },
  {
    name: 'an endpoint in the host network, and a pod that reaches itself',
    before: dns({}, [nodeIP, here]),
    after: [dns({}, [nodeIP, here, there])],
    stay: [
      clusterIP(`${nodeIP}:5353`),
      entry(`${nodeIP}:5353`),
      clusterIP(`${here}:5353`, { more: `-s ${here} -q ${nodeIP}` }),
    ],
  },
  {
    name: 'that endpoint and that pod go',
    before: dns({}, [nodeIP, here]),
    after: [dns({}, [there])],
    go: [clusterIP(`${nodeIP}:5353`), clusterIP(`${here}:5353`, { more: `-s ${here} -q ${nodeIP}` })],
    stay: [entry(`${nodeIP}:5353`)],
  },
  {
    name: 'SCTP with several endpoints',
    before: dns({}, [here, there], { protocol: 'SCTP' }),
    after: [dns({}, [there, elsewhere], { protocol: 'SCTP' })],
    go: [clusterIP(`${here}:5353`, { protocol: 'sctp' })],
    stay: [clusterIP(`${there}:5353`, { protocol: 'sctp' }), clusterIP(`${here}:5353`)],
  },
  {
    name: 'TCP, and what has no ports',
    before: both(dns({}, [here], { protocol: 'TCP' }), dns({}, [here], { name: 'also' })),
    after: [both(dns({}, [there], { protocol: 'TCP' }))],
    stay: [
      clusterIP(`${here}:5353`, { protocol: 'tcp' }),
      clusterIP(undefined, { protocol: 'tcp' }),
      clusterIP(undefined, { protocol: 'icmp' }),
    ],
  },
  {
    name: 'conntrack zones',
    before: dns({}, [here]),
    after: [dns({}, [there])],
    go: [clusterIP(`${here}:5353`, { more: '--zone 3' })],
    stay: [clusterIP(undefined, { more: '--zone 3' }), clusterIP(`${there}:5353`, { more: '--zone 4' })],
  },
  {
    name: 'what went to a port that is not its own, or came from its address',
    before: dns({}, [here]),
    after: [dns({}, [])],
    stay: [(vip) => ({ to: `${vip}:54`, at: `${here}:5353` }), entry('8.8.8.8:53')],
  },
]

let port = 20_000
/** Adds it, and gives back how to ask for it. */
const add = ({ to, at = to, protocol = 'udp', more = '' }: Entry): string => {
  port++
  const [vip, vport] = to.split(':')
  const [target, tport] = at.split(':')
  const addresses = [
    ...(more.includes('-s ') ? [] : ['-s 198.51.100.7']),
    ...(more.includes('-q ') ? [] : ['-q 198.51.100.7']),
  ].join(' ')
  if (protocol === 'icmp') {
    sh(
      `conntrack -I -p icmp -s 198.51.100.7 -d ${vip} -r ${vip} -q 198.51.100.7 --icmp-type 8 --icmp-code 0 --icmp-id ${port} -t 600`,
    )
    return `-p icmp --icmp-id ${port}`
  }
  const state = { tcp: '--state ESTABLISHED', udp: '', sctp: '--state ESTABLISHED --orig-vtag 1 --reply-vtag 2' }
  sh(
    `conntrack -I -p ${protocol} ${addresses} -d ${vip} --sport ${port} --dport ${vport} -r ${target} --reply-port-src ${tport} --reply-port-dst ${port} -t 600 ${state[protocol]} ${more}`,
  )
  return `-p ${protocol} --sport ${port}`
}
const isThere = (ask: string): boolean => sh(`conntrack -L ${ask} 2>/dev/null || true`).trim() !== ''

sh('ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up')
sh(`ip link set lo up; ip addr add ${nodeIP}/24 dev eth0; ip route add default via 192.0.2.1`)
const folder = temporaryFolder()
writeManifests(folder, 'node.yaml', [node('here', { addresses: [nodeIP] })])
let canaries = 0
/** A file without objects may be one that is being written. */
const filler = dns({}, ['10.244.9.9'], { name: 'filler' })('10.96.255.2')
/** Resolves when these objects are served, and the table has been read since. */
const serve = async (manifests: readonly Manifest[]): Promise<void> => {
  const [old, young] = ++canaries % 2 === 0 ? ['10.244.9.2', '10.244.9.1'] : ['10.244.9.1', '10.244.9.2']
  const canary = add({ to: '10.96.255.1:53', at: `${old}:5353` })
  writeManifests(folder, 'objects.yaml', [...manifests, ...filler])
  // In a write of its own, after the others, removals too, which the source lets settle: the pass that takes the canary knows of them.
  await sleep(350)
  writeManifests(folder, 'canary.yaml', dns({}, [young], { name: 'canary' })('10.96.255.1'))
  await eventually(
    () => isThere(canary),
    (there) => !there,
  )
}

/** Resolves when the table is not being read, nor about to be: a file may be read in parts, and each write is a reason. */
const quiet = async (): Promise<void> => {
  for (;;) {
    const stale = add({ to: '10.96.255.1:53', at: '10.244.9.3:5353' })
    await sleep(300)
    if (!isThere(stale)) continue
    sh(`conntrack -D ${stale}`)
    return
  }
}

for (const mode of ['nftables', 'iptables'] as const)
  await t.test(`mode ${mode}`, async (t) => {
    writeManifests(folder, 'objects.yaml', filler)
    writeManifests(folder, 'canary.yaml', dns({}, ['10.244.9.1'], { name: 'canary' })('10.96.255.1'))
    canaries = 0
    const flags = [`--proxy-mode=${mode}`, '--manifests', folder, '--hostname-override=here']
    const weir = await startWeir(t, flags).serving()
    for (const [i, { name, before, after, stay = [], go = [] }] of cases.entries())
      await t.test(name, async (t) => {
        const vip = `10.96.0.${i + 1}`
        await serve(before(vip))
        await quiet()
        const kept = stay.map((make) => ({ what: make(vip), ask: add(make(vip)) }))
        const gone = go.map((make) => ({ what: make(vip), ask: add(make(vip)) }))
        for (const manifests of after) await serve(manifests(vip))
        for (const { what, ask } of kept) t.ok(isThere(ask), `stays: ${JSON.stringify(what)}`)
        for (const { what, ask } of gone) t.notOk(isThere(ask), `goes: ${JSON.stringify(what)}`)
        sh('conntrack -F')
      })
    t.same(weir.lines(/Could not delete stale flows/), [])
    await weir.end()
  })
