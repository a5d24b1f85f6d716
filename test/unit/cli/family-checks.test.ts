import { describe, expect, it } from 'vitest'
import { checkFamilies } from '../../../src/cli/family-checks.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { parseCidr } from '../../../src/model/cidr.ts'
import { families, parseIP } from '../../../src/model/ip.ts'
import type { Node } from '../../../src/model/node.ts'

const node = ({ addresses = ['192.0.2.1'], podCidrs = [] as string[] } = {}): Node => ({
  name: 'node-1',
  addresses: addresses.flatMap((text) => parseIP(text) ?? []),
  podCidrs: podCidrs.flatMap((text) => parseCidr(text) ?? []),
  zone: undefined,
  leaving: false,
})

const check = (flags: readonly string[], { served = families as readonly ('IPv4' | 'IPv6')[], our = node() } = {}) =>
  checkFamilies(loadConfig(parseCommandLine(flags), undefined).config, served, our)

const onlyIPv4 = { served: ['IPv4'] as const }
const ipv6Node = node({ addresses: ['2001:db8::1', '192.0.2.1'] })

describe('fatal mismatches', () => {
  it('refuses a node whose primary family has no support', () => {
    const refuse = () => check([], { ...onlyIPv4, our: ipv6Node })
    expect(refuse).toThrow('no support for primary IP family IPv6')
    expect(() => check(['--bind-address', '2001:db8::9'], onlyIPv4)).toThrow('no support for primary IP family IPv6')
    expect(check([], { our: ipv6Node })).toEqual([])
  })

  it('refuses a clusterCIDR of the wrong family on a single-stack node only', () => {
    const flags = ['--cluster-cidr', '2001:db8::/48']
    const line = /^the cluster is IPv4-(only|primary), but clusterCIDR holds only IPv6 networks$/
    expect(() => check(flags, onlyIPv4)).toThrow(line)
    expect(check(flags)).toEqual([expect.stringMatching(line)])
    expect(check(['--cluster-cidr', '10.0.0.0/8,2001:db8::/48'], onlyIPv4)).toEqual([])
    expect(check(['--cluster-cidr', '10.0.0.0/8'], { our: ipv6Node })).toEqual([
      'the cluster is IPv6-primary, but clusterCIDR holds only IPv4 networks',
    ])
  })

  it('does not look at clusterCIDR in the other modes', () => {
    const flags = ['--cluster-cidr', '2001:db8::/48', '--detect-local-mode', 'BridgeInterface']
    expect(check([...flags, '--pod-bridge-interface', 'cni0'], onlyIPv4)).toEqual([])
  })

  it('refuses podCIDRs of the wrong family in mode NodeCIDR, also on a dual-stack node', () => {
    const flags = ['--detect-local-mode', 'NodeCIDR']
    const our = node({ podCidrs: ['2001:db8:1::/64'] })
    const line = 'but the podCIDRs of the Node are only IPv6 networks'
    expect(() => check(flags, { our })).toThrow(line)
    expect(() => check(flags, { ...onlyIPv4, our })).toThrow(line)
    expect(check([], { our })).toEqual([])
    expect(check(flags, { our: node({ podCidrs: ['10.0.0.0/24', '2001:db8:1::/64'] }) })).toEqual([])
  })
})

describe('mismatches that a node can live with', () => {
  it('names servers of the wrong family on a single-stack node', () => {
    const flags = ['--healthz-bind-address', '[2001:db8::9]:10256', '--metrics-bind-address', '[::1]:10249']
    expect(check(flags, onlyIPv4)).toEqual([
      'the cluster is IPv4-only, but healthzBindAddress is IPv6',
      'the cluster is IPv4-only, but metricsBindAddress is IPv6',
    ])
    expect(check(flags)).toEqual([])
    expect(check(['--healthz-bind-address', '[::]:10256', '--healthz-port', '0'], onlyIPv4)).toEqual([])
  })

  it('speaks of nodePortAddresses that are unset only where that means every address', () => {
    expect(check([])).toEqual([])
    expect(check(['--proxy-mode', 'nftables'])).toEqual([])
    expect(check(['--proxy-mode', 'iptables'])).toEqual([expect.stringContaining('nodePortAddresses is unset')])
    expect(check(['--proxy-mode', 'iptables', '--nodeport-addresses', 'primary'])).toEqual([])
  })

  it('speaks of a family that nodePortAddresses leaves open', () => {
    const onlyFour = ['--nodeport-addresses', '192.0.2.0/24']
    const open = 'so NodePorts are accepted on every IPv6 address'
    expect(check(onlyFour)).toEqual([])
    expect(check([...onlyFour, '--cluster-cidr', '10.0.0.0/8,2001:db8::/48'])).toEqual([
      `the cluster is dual-stack, but nodePortAddresses holds only IPv4 networks, ${open}`,
    ])
    expect(check(onlyFour, { our: ipv6Node })).toEqual([
      `the cluster is IPv6-primary, but nodePortAddresses holds only IPv4 networks, ${open}`,
    ])
    expect(check(['--nodeport-addresses', '192.0.2.0/24,2001:db8::/64'], { our: ipv6Node })).toEqual([])
  })
})
