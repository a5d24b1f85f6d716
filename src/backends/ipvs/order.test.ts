import { describe, expect, it } from 'vitest'
import { fakeServerKernel } from '../../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../../test/kernel/sync-ipvs-rig.ts'
import { cidr, endpoint, ip, key, port, service, servicePort, slice } from '../../../test/property/track-objects.ts'
import type { ModelChange } from '../../model/change.ts'
import { defaultConnections } from '../../model/connections.ts'
import type { Endpoint } from '../../model/endpoint-slice.ts'
import type { Service } from '../../model/service.ts'

const web = (over: Partial<Service> = {}): ModelChange => ({
  kind: 'service',
  key: key('ns/web'),
  value: service('ns/web', over),
})
const pods = (...endpoints: readonly Endpoint[]): ModelChange => {
  const value = slice('ns/web-1', endpoints)
  return { kind: 'slice', key: value.key, value }
}
const here = endpoint('10.0.0.1', { nodeName: 'here' })
const there = endpoint('10.0.0.2', { nodeName: 'there' })
const vip = { loadBalancerIPs: [ip('203.0.113.1')] } as const

/** What a change writes, in order; real servers that drain have no connections, and go at once. */
const transition = async (
  before: readonly ModelChange[],
  after: readonly ModelChange[],
  { addresses = [] as readonly string[] } = {},
): Promise<readonly string[]> => {
  const rig = new IpvsRig({ kernel: fakeServerKernel() })
  rig.setAddresses(addresses.map(ip))
  rig.apply(...before)
  await rig.mustSync()
  rig.journal.begin()
  rig.apply(...after)
  await rig.mustSync()
  const { lines } = rig.journal
  rig.close()
  expect(rig.errors).toEqual([])
  return lines
}

describe('what a change writes, and in which order', () => {
  it('a Service comes: sets, address, virtual server, and its real servers so that the first is in front', async () => {
    expect(await transition([], [web(), pods(here, there)])).toEqual([
      'add KUBE-CLUSTER-IP 10.96.0.1,tcp:80',
      'add KUBE-IPVS-IPS 10.96.0.1',
      'add KUBE-LOOP-BACK 10.0.0.1,tcp:8080,10.0.0.1',
      'address add 10.96.0.1',
      '-A -t 10.96.0.1:80 -s rr',
      '-a -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 1',
      '-a -t 10.96.0.1:80 -r 10.0.0.1:8080 -m -w 1',
    ])
  })

  it('a Service goes: virtual server, address, sets', async () => {
    const gone: ModelChange = { kind: 'service', key: key('ns/web'), value: undefined }
    expect(await transition([web(), pods(here)], [gone])).toEqual([
      '-D -t 10.96.0.1:80',
      'address del 10.96.0.1',
      'del KUBE-CLUSTER-IP 10.96.0.1,tcp:80',
      'del KUBE-IPVS-IPS 10.96.0.1',
      'del KUBE-LOOP-BACK 10.0.0.1,tcp:8080,10.0.0.1',
    ])
  })

  it('an endpoint is replaced: the new one is there before the old one gets nothing new', async () => {
    expect(await transition([web(), pods(here)], [pods(there)])).toEqual([
      '-a -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 1',
      '-e -t 10.96.0.1:80 -r 10.0.0.1:8080 -m -w 0',
      'del KUBE-LOOP-BACK 10.0.0.1,tcp:8080,10.0.0.1',
      '-d -t 10.96.0.1:80 -r 10.0.0.1:8080',
    ])
  })

  it('the scheduler changes: the virtual server is edited, so that its connections stay', async () => {
    const sticky = web({ affinitySeconds: 60, scheduling: { scheduler: 'sh', flags: ['sh-port'], weights: undefined } })
    expect(await transition([web(), pods(there)], [sticky])).toEqual([
      '-E -t 10.96.0.1:80 -s sh -p 60 -b sh-fallback,sh-port',
    ])
  })

  it('weights and forwarding change: real servers are edited', async () => {
    const heavy = web({
      ports: [servicePort({ port: port(8080) })],
      scheduling: { scheduler: 'random', flags: [], weights: new Map([['10.0.0.2', 7]]) },
      connections: { ...defaultConnections, forwarding: 'direct' },
    })
    const before = [web({ ports: [servicePort({ port: port(8080) })] }), pods(there)]
    expect(await transition(before, [heavy])).toEqual([
      'add WEIR-IPVS-DIRECT 10.96.0.1,tcp:8080',
      '-e -t 10.96.0.1:8080 -r 10.0.0.2:8080 -g -w 7',
    ])
  })

  it('an endpoint is drained: it is wanted, with weight 0', async () => {
    const drained = web({ scheduling: { scheduler: 'random', flags: [], weights: new Map([['10.0.0.2', 0]]) } })
    expect(await transition([web(), pods(here, there)], [drained])).toEqual([
      '-e -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 0',
    ])
  })

  it('source ranges come and go: nobody who may pass is turned away in between', async () => {
    const guarded = web({ ...vip, sourceRanges: [cidr('192.0.2.0/24')] })
    expect(await transition([web(vip), pods(there)], [guarded])).toEqual([
      'add KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,192.0.2.0/24',
      'add KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80',
    ])
    expect(await transition([guarded, pods(there)], [web(vip)])).toEqual([
      'del KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80',
      'del KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,192.0.2.0/24',
    ])
  })

  it('external traffic stays on a node without endpoints: dropped before real servers go', async () => {
    const lines = await transition([web(vip), pods(there)], [web({ ...vip, externalPolicy: 'Local' })])
    expect(lines).toEqual([
      'add KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80',
      'add WEIR-IPVS-EXT-DROP 203.0.113.1,tcp:80',
      'add WEIR-IPVS-INSIDE 203.0.113.1,tcp:80 skbmark 0x1001',
      '-A -f 4097 -s rr',
      '-a -f 4097 -r 10.0.0.2:8080 -m -w 1',
      '-e -t 203.0.113.1:80 -r 10.0.0.2:8080 -m -w 0',
      '-d -t 203.0.113.1:80 -r 10.0.0.2:8080',
    ])
  })

  it('the address moves to another Service: it is never unbound, and what is alike is not written', async () => {
    const next: ModelChange = { kind: 'service', key: key('ns/next'), value: service('ns/next') }
    expect(await transition([web(), pods(there)], [web({ clusterIPs: [ip('10.96.0.9')] }), next])).toEqual([
      'add KUBE-CLUSTER-IP 10.96.0.9,tcp:80',
      'add KUBE-IPVS-IPS 10.96.0.9',
      'address add 10.96.0.9',
      '-A -t 10.96.0.9:80 -s rr',
      '-a -t 10.96.0.9:80 -r 10.0.0.2:8080 -m -w 1',
      '-e -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 0',
      '-d -t 10.96.0.1:80 -r 10.0.0.2:8080',
    ])
  })

  it('an external address moves between Services of policy Local: the old mark leads nowhere before it has no owner', async () => {
    const local = { ...vip, externalPolicy: 'Local' } as const
    const next: ModelChange = {
      kind: 'service',
      key: key('ns/next'),
      value: service('ns/next', { ...local, clusterIPs: [ip('10.96.0.9')] }),
    }
    const lines = await transition([web(local), pods(there)], [web(), next])
    const at = (line: string): number => lines.indexOf(line)
    const order = ['-D -f 4097', 'add WEIR-IPVS-INSIDE 203.0.113.1,tcp:80 skbmark 0x1002', '-A -f 4098 -s rr'].map(at)
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(order).not.toContain(-1)
  })

  it('an external IP that is a node address takes a NodePort’s place, whoever came first', async () => {
    const options = { addresses: ['192.0.2.10'] }
    const nodePort = web({ ports: [servicePort({ nodePort: port(30_001) })] })
    const other = service('ns/other', {
      clusterIPs: [ip('10.96.0.9')],
      externalIPs: [ip('192.0.2.10')],
      ports: [servicePort({ port: port(30_001) })],
    })
    const put: ModelChange = { kind: 'service', key: key('ns/other'), value: other }
    const drop: ModelChange = { ...put, value: undefined }
    const servers = (lines: readonly string[]): readonly string[] => lines.filter((line) => line.includes(':30001 '))
    expect(servers(await transition([nodePort, pods(there)], [put], options))).toEqual([
      '-A -t 10.96.0.9:30001 -s rr',
      '-e -t 192.0.2.10:30001 -r 10.0.0.2:8080 -m -w 0',
      '-d -t 192.0.2.10:30001 -r 10.0.0.2:8080',
    ])
    expect(servers(await transition([put, nodePort, pods(there)], [drop], options))).toEqual([
      '-a -t 192.0.2.10:30001 -r 10.0.0.2:8080 -m -w 1',
    ])
  })
})
