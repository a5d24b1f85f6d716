import { describe, expect, it } from 'vitest'
import { Ledger, type Operation } from '../../../test/kernel/sync-iptables-faults.ts'
import { fakeKernel } from '../../../test/kernel/sync-iptables-kernel.ts'
import { IptablesRig } from '../../../test/kernel/sync-iptables-rig.ts'
import { cidr, endpoint, ip, key, port, service, servicePort, slice } from '../../../test/property/track-objects.ts'
import type { ModelChange } from '../../model/change.ts'
import type { Endpoint } from '../../model/endpoint-slice.ts'
import type { Service } from '../../model/service.ts'

const web = (over: Partial<Service> = {}): ModelChange => ({
  kind: 'service',
  key: key('ns/web'),
  value: service('ns/web', {
    loadBalancerIPs: [ip('203.0.113.1')],
    ports: [servicePort({ nodePort: port(30_001) })],
    ...over,
  }),
})

const pods = (...endpoints: readonly Endpoint[]): ModelChange => {
  const value = slice('ns/web-1', endpoints)
  return { kind: 'slice', key: value.key, value }
}
const here = endpoint('10.0.0.1', { nodeName: 'here' })
const there = endpoint('10.0.0.2', { nodeName: 'there' })
const ranges = [cidr('192.0.2.0/24')]

/** `add ROLE`, `restore`, `remove ROLE`, sorted but for what has to come before what. */
const steps = (operations: readonly Operation[]): readonly string[] => {
  const at = operations.findIndex(({ kind }) => kind === 'restore')
  const words = operations.map((operation) =>
    operation.kind === 'restore' ? 'restore' : `${operation.kind} ${operation.set.replace('WEIR-4-', '')}`,
  )
  if (at < 0) return words.sort()
  return [...words.slice(0, at).sort(), 'restore', ...words.slice(at + 1).sort()]
}

const transition = async (
  before: readonly ModelChange[],
  after: readonly ModelChange[],
): Promise<readonly string[]> => {
  const ledger = new Ledger()
  const rig = new IptablesRig({ kernel: fakeKernel(), ledger, layout: { ipset: true } })
  rig.apply(...before)
  await rig.mustSync()
  ledger.begin()
  rig.apply(...after)
  await rig.mustSync()
  return steps(ledger.operations)
}

describe('what rules need is there before them, and goes after them', () => {
  const taken = ['CLUSTER-IP', 'EXTERNAL', 'LOOP-BACK', 'NP-MASQ-TCP', 'NP-TCP']
  const refused = ['EXT-REJECT', 'NP-REJECT-TCP', 'REJECT']
  const add = (roles: readonly string[]): readonly string[] => roles.map((role) => `add ${role}`)
  const remove = (roles: readonly string[]): readonly string[] => roles.map((role) => `remove ${role}`)

  it.each<{
    readonly what: string
    readonly from: readonly ModelChange[]
    readonly to: readonly ModelChange[]
    readonly steps: readonly string[]
  }>([
    {
      what: 'the first endpoint comes: packets are refused until the rules send them somewhere',
      from: [web(), pods()],
      to: [pods(there)],
      steps: [...add(taken), 'restore', ...remove(refused)],
    },
    {
      what: 'the last endpoint goes: packets are refused as soon as no rule sends them anywhere',
      from: [web(), pods(there)],
      to: [pods()],
      steps: [...add(refused), 'restore', ...remove(taken)],
    },
    {
      what: 'a Service comes',
      from: [],
      to: [web(), pods(there)],
      steps: [...add(taken), 'restore'],
    },
    {
      what: 'a Service goes',
      from: [web(), pods(there)],
      to: [{ kind: 'service', key: key('ns/web'), value: undefined }],
      steps: ['restore', ...remove(taken)],
    },
    {
      what: 'an endpoint is replaced',
      from: [web(), pods(there)],
      to: [pods(here)],
      steps: ['add LOOP-BACK', 'restore', 'remove LOOP-BACK'],
    },
    {
      what: 'external traffic stays on the node: it is masqueraded until the rules ask where it comes from',
      from: [web(), pods(here, there)],
      to: [web({ externalPolicy: 'Local' })],
      steps: ['restore', 'remove EXTERNAL', 'remove NP-MASQ-TCP'],
    },
    {
      what: 'external traffic goes anywhere: it is masqueraded before the rules send it to other nodes',
      from: [web({ externalPolicy: 'Local' }), pods(here, there)],
      to: [web()],
      steps: ['add EXTERNAL', 'add NP-MASQ-TCP', 'restore'],
    },
    {
      what: 'external traffic stays on a node without endpoints',
      from: [web(), pods(there)],
      to: [web({ externalPolicy: 'Local' })],
      steps: ['add EXT-DROP', 'add NP-DROP-TCP', 'restore', 'remove EXTERNAL', 'remove NP-MASQ-TCP'],
    },
    {
      what: 'internal traffic stays on a node without endpoints',
      from: [web(), pods(there)],
      to: [web({ internalPolicy: 'Local' })],
      steps: ['add DROP', 'restore', 'remove CLUSTER-IP'],
    },
    {
      what: 'source ranges come: those inside are known before the rules ask',
      from: [web(), pods(there)],
      to: [web({ sourceRanges: ranges })],
      steps: ['add LB-FW', 'add LB-SOURCE', 'restore', 'remove EXTERNAL'],
    },
    {
      what: 'source ranges go: those inside are known until no rule asks',
      from: [web({ sourceRanges: ranges }), pods(there)],
      to: [web()],
      steps: ['add EXTERNAL', 'restore', 'remove LB-FW', 'remove LB-SOURCE'],
    },
    {
      what: 'source ranges change',
      from: [web({ sourceRanges: ranges }), pods(there)],
      to: [web({ sourceRanges: [cidr('198.51.100.0/24')] })],
      steps: ['add LB-SOURCE', 'remove LB-SOURCE'],
    },
    {
      what: 'the NodePort changes',
      from: [web(), pods(there)],
      to: [web({ ports: [servicePort({ nodePort: port(30_002) })] })],
      steps: ['add NP-MASQ-TCP', 'add NP-TCP', 'restore', 'remove NP-MASQ-TCP', 'remove NP-TCP'],
    },
    {
      what: 'the address moves to another Service',
      from: [web(), pods(there)],
      to: [
        web({ clusterIPs: [ip('10.96.0.9')] }),
        { kind: 'service', key: key('ns/next'), value: service('ns/next', { clusterIPs: [ip('10.96.0.1')] }) },
      ],
      steps: ['add CLUSTER-IP', 'add REJECT', 'restore', 'remove CLUSTER-IP'],
    },
  ])('$what', async ({ from, to, steps: wanted }) => {
    expect(await transition(from, to)).toEqual(wanted)
  })
})
