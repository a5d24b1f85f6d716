import { describe, expect, it } from 'vitest'
import { cidr, ip, node } from '../../test/property/track-objects.ts'
import type { NodePortAddresses } from '../model/host.ts'
import type { Family } from '../model/ip.ts'
import { type DetectLocal, localDetector } from './detect-local.ts'
import { type HostFacts, type HostSettings, hostState } from './host-state.ts'
import { nodeIPs } from './node-ips.ts'
import { nodePortAddresses } from './node-port-addresses.ts'

const addresses = (...texts: readonly string[]) => texts.map(ip)

describe('S2.8 the node IPs', () => {
  it.each([
    ['unknown node', undefined, undefined, ['IPv4', undefined, undefined]],
    ['one family', undefined, ['192.0.2.1', '192.0.2.2'], ['IPv4', '192.0.2.1', undefined]],
    ['both families', undefined, ['192.0.2.1', '192.0.2.2', '2001:db8::1'], ['IPv4', '192.0.2.1', '2001:db8::1']],
    ['IPv6 first', undefined, ['2001:db8::1', '192.0.2.1', '2001:db8::2'], ['IPv6', '192.0.2.1', '2001:db8::1']],
    ['bound to every address', '0.0.0.0', ['2001:db8::1'], ['IPv6', undefined, '2001:db8::1']],
    ['bound to every address', '::', ['192.0.2.1'], ['IPv4', '192.0.2.1', undefined]],
    ['bound to one', '198.51.100.1', ['192.0.2.1', '2001:db8::1'], ['IPv4', '198.51.100.1', '2001:db8::1']],
    ['bound to one of the second', '2001:db8::9', ['192.0.2.1', '2001:db8::1'], ['IPv6', '192.0.2.1', '2001:db8::9']],
  ] as const)('%s', (_, bind, known, [primary, IPv4, IPv6]) => {
    const found = nodeIPs(
      bind === undefined ? undefined : ip(bind),
      known === undefined ? undefined : node({ addresses: addresses(...known) }),
    )
    expect(found).toEqual({ primary, IPv4, IPv6 })
  })
})

describe('S2.6 S2.7 addresses that take NodePorts', () => {
  const interfaces = addresses(
    '127.0.0.1',
    '127.0.0.53',
    '192.0.2.1',
    '192.0.2.77',
    '10.1.0.1',
    '::1',
    'fe80::1',
    '2001:db8::2',
    '2001:db8::1',
  )
  const ips = nodeIPs(undefined, node({ addresses: addresses('192.0.2.1', '2001:db8::1') }))
  const four = nodeIPs(undefined, node({ addresses: addresses('192.0.2.1') }))
  const find = (
    selector: 'primary' | readonly string[],
    family: Family,
    { known = ips, loopback = false } = {},
  ): NodePortAddresses =>
    nodePortAddresses(selector === 'primary' ? selector : selector.map(cidr), known, interfaces, family, loopback)
  const some = (...texts: readonly string[]): NodePortAddresses => ({ kind: 'some', addresses: addresses(...texts) })
  const all: NodePortAddresses = { kind: 'all' }

  it.each<[string, NodePortAddresses, NodePortAddresses]>([
    ['no list: every address', find([], 'IPv4'), all],
    ['a list', find(['192.0.2.0/24', '10.0.0.0/8'], 'IPv4'), some('10.1.0.1', '192.0.2.1', '192.0.2.77')],
    ['a list in IPv6', find(['2001:db8::/64'], 'IPv6'), some('2001:db8::1', '2001:db8::2')],
    ['a list without this family: every address', find(['192.0.2.0/24'], 'IPv6'), all],
    ['a list with a /0: every address', find(['192.0.2.0/24', '0.0.0.0/0'], 'IPv4'), all],
    ['a /0 of the other family says nothing', find(['192.0.2.1/32', '::/0'], 'IPv4'), some('192.0.2.1')],
    ['a list that matches no interface', find(['172.16.0.0/12'], 'IPv4'), some()],
    ['primary', find('primary', 'IPv4'), some('192.0.2.1')],
    ['primary in IPv6', find('primary', 'IPv6'), some('2001:db8::1')],
    ['primary, second family of a single-stack node', find('primary', 'IPv6', { known: four }), all],
    ['primary without a node', find('primary', 'IPv4', { known: nodeIPs(undefined, undefined) }), all],
    ['loopback left out', find(['127.0.0.0/8', '10.0.0.0/8'], 'IPv4'), some('10.1.0.1')],
    ['loopback left out in IPv6', find(['::1/128'], 'IPv6'), some()],
    ['loopback kept', find(['127.0.0.0/8'], 'IPv4', { loopback: true }), some('127.0.0.1', '127.0.0.53')],
  ])('%s', (_, found, expected) => expect(found).toEqual(expected))

  it('a loopback node IP is not primary', () => {
    const loop = nodeIPs(ip('127.0.0.1'), undefined)
    expect(find('primary', 'IPv4', { known: loop, loopback: true })).toEqual(all)
  })
})

describe('S11.4 local traffic is told', () => {
  const podded = node({ podCidrs: [cidr('fd00:1::/64'), cidr('10.1.0.0/24'), cidr('10.2.0.0/24')] })
  it.each<[string, DetectLocal, Family, unknown]>([
    [
      'by the first cluster CIDR',
      { kind: 'ClusterCIDR', cidrs: [cidr('10.0.0.0/8'), cidr('11.0.0.0/8')] },
      'IPv4',
      { kind: 'cidr', cidr: '10.0.0.0/8' },
    ],
    [
      'by the first of its family',
      { kind: 'ClusterCIDR', cidrs: [cidr('10.0.0.0/8'), cidr('fd00::/8')] },
      'IPv6',
      { kind: 'cidr', cidr: 'fd00::/8' },
    ],
    ['not at all without one', { kind: 'ClusterCIDR', cidrs: [] }, 'IPv4', { kind: 'none' }],
    ['by the Node’s first pod CIDR', { kind: 'NodeCIDR' }, 'IPv4', { kind: 'cidr', cidr: '10.1.0.0/24' }],
    ['by the Node’s first pod CIDR', { kind: 'NodeCIDR' }, 'IPv6', { kind: 'cidr', cidr: 'fd00:1::/64' }],
    ['by the bridge', { kind: 'BridgeInterface', name: 'cni0' }, 'IPv6', { kind: 'interface', name: 'cni0' }],
    [
      'by the prefix',
      { kind: 'InterfaceNamePrefix', prefix: 'veth' },
      'IPv4',
      { kind: 'interfacePrefix', prefix: 'veth' },
    ],
  ])('%s', (_, mode, family, expected) => expect(localDetector(mode, podded, family)).toEqual(expected))

  it('not at all by NodeCIDR without a Node', () =>
    expect(localDetector({ kind: 'NodeCIDR' }, undefined, 'IPv4')).toEqual({ kind: 'none' }))
})

describe('hostState', () => {
  const settings: HostSettings = {
    bindAddress: undefined,
    nodePortAddresses: 'primary',
    loopbackNodePorts: false,
    detectLocal: { kind: 'BridgeInterface', name: 'cni0' },
    masqueradeAll: true,
    masqueradeBit: 14,
  }
  const facts: HostFacts = {
    node: node(),
    interfaceAddresses: addresses('fe80::1', '192.0.2.10', '10.1.0.1', '127.0.0.1'),
    serviceCidrs: ['fd00::/112', '10.96.0.0/16', '10.96.1.0/24', '10.80.0.0/16'].map(cidr),
  }

  it('puts the parts of a family together', () => {
    expect(hostState(settings, facts, 'IPv4')).toEqual({
      family: 'IPv4',
      detector: { kind: 'interface', name: 'cni0' },
      masqueradeAll: true,
      masqueradeMark: 0x4000,
      nodePortAddresses: { kind: 'some', addresses: ['192.0.2.10'] },
      serviceCidrs: ['10.80.0.0/16', '10.96.0.0/16'],
      addresses: ['192.0.2.10', '10.1.0.1', '127.0.0.1'],
    })
    expect(hostState(settings, facts, 'IPv6')).toMatchObject({
      family: 'IPv6',
      nodePortAddresses: { kind: 'all' },
      serviceCidrs: ['fd00::/112'],
      addresses: ['fe80::1'],
    })
  })

  it('has an unsigned mark for every bit', () => {
    expect(hostState({ ...settings, masqueradeBit: 31 }, facts, 'IPv4').masqueradeMark).toBe(0x8000_0000)
    expect(hostState({ ...settings, masqueradeBit: 0 }, facts, 'IPv4').masqueradeMark).toBe(1)
  })
})
