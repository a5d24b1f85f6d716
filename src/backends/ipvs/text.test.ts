import { describe, expect, it } from 'vitest'
import { ip, port } from '../../../test/property/track-objects.ts'
import { addresses, hostOf, stateOf, targetOf } from '../../../test/support/iptables-layouts.ts'
import { type Family, families } from '../../model/ip.ts'
import { defaultScheduling } from '../../model/scheduling.ts'
import { renderIpvs } from './text.ts'

/** The parts of the text by their tools, without empty sets. */
const partsOf = (family: Family): ReadonlyMap<string, readonly string[]> => {
  const { pod, external, balancer, cluster, range } = addresses(family)
  const far = targetOf(pod(1), { port: port(8080), weight: 2 })
  const near = targetOf(pod(2), { port: port(8080), local: true })
  const node = ip(family === 'IPv4' ? '192.0.2.10' : '2001:db8::10')
  const text = renderIpvs(
    hostOf(family, { addresses: [node] }),
    [
      stateOf(family, 'a/web', {
        scheduling: { ...defaultScheduling, scheduler: 'mh', flags: ['mh-fallback', 'mh-port'] },
        affinitySeconds: 600,
        loadBalancerIPs: [balancer(1)],
        sourceRanges: [range(1)],
        nodePort: port(30_001),
        externalPolicy: 'Local',
        cluster: [far, near],
        local: [near],
      }),
      // Both have the node's address and port 30002, the first as a NodePort.
      stateOf(family, 'b/dns', { clusterIP: cluster(42), protocol: 'UDP', nodePort: port(30_002), cluster: [far] }),
      stateOf(family, 'c/same', { clusterIP: undefined, protocol: 'UDP', externalIPs: [node], port: port(30_002) }),
      stateOf(family, 'd/other', { clusterIP: undefined, externalIPs: [external(1)], externalPolicy: 'Local' }),
    ],
    { family, scheduler: 'wlc', excludeCidrs: [], drainMs: 0, randomFully: true },
  )
  const parts = text.split(/^# /m).slice(1)
  return new Map(
    parts.map((part) => {
      const [heading = '', ...lines] = part.trimEnd().split('\n')
      return [heading, lines.filter((line) => !line.startsWith('create ') || line.includes('skbinfo'))]
    }),
  )
}

describe('the text of mode ipvs', () => {
  it.each(families)('has a part for each tool: %s', (family) => {
    const iptables = family === 'IPv4' ? 'iptables-restore' : 'ip6tables-restore'
    expect([...partsOf(family).keys()]).toEqual([
      `${family}: ipset restore`,
      `${family}: ${iptables} --noflush`,
      `${family}: ipvsadm -R`,
      `${family}: ip -batch -`,
    ])
  })

  it('has sets, with the marks of inside servers', () => {
    expect(partsOf('IPv4').get('IPv4: ipset restore')).toEqual([
      'add KUBE-LOOP-BACK 10.180.0.2,tcp:8080,10.180.0.2',
      'add KUBE-CLUSTER-IP 172.30.0.41,tcp:80',
      'add KUBE-CLUSTER-IP 172.30.0.42,udp:80',
      'add KUBE-EXTERNAL-IP 192.0.2.10,udp:30002',
      'add KUBE-EXTERNAL-IP-LOCAL 192.168.99.1,tcp:80',
      'add KUBE-LOAD-BALANCER 203.0.113.1,tcp:80',
      'add KUBE-LOAD-BALANCER-LOCAL 203.0.113.1,tcp:80',
      'add KUBE-LOAD-BALANCER-FW 203.0.113.1,tcp:80',
      'add KUBE-LOAD-BALANCER-SOURCE-CIDR 203.0.113.1,tcp:80,198.51.1.0/24',
      'add KUBE-NODE-PORT-TCP 30001',
      'add KUBE-NODE-PORT-LOCAL-TCP 30001',
      'add KUBE-NODE-PORT-UDP 30002',
      'add WEIR-IPVS-NODE-PORT 192.0.2.10,tcp:30001',
      'add WEIR-IPVS-NODE-PORT 192.0.2.10,udp:30002',
      'add KUBE-IPVS-IPS 172.30.0.41',
      'add KUBE-IPVS-IPS 203.0.113.1',
      'add KUBE-IPVS-IPS 172.30.0.42',
      'add KUBE-IPVS-IPS 192.168.99.1',
      'create WEIR-IPVS-INSIDE hash:ip,port family inet skbinfo',
      'add WEIR-IPVS-INSIDE 203.0.113.1,tcp:80 skbmark 0x1001',
      'add WEIR-IPVS-INSIDE 192.0.2.10,tcp:30001 skbmark 0x1001',
      'add WEIR-IPVS-INSIDE 192.168.99.1,tcp:80 skbmark 0x1002',
    ])
  })

  it('has virtual servers; of two Services with one address the external IP counts', () => {
    const web = '-s mh -p 600 -b mh-fallback,mh-port'
    expect(partsOf('IPv6').get('IPv6: ipvsadm -R')).toEqual([
      `-A -t [fd00:30::41]:80 ${web}`,
      '-a -t [fd00:30::41]:80 -r [fd00:180::1]:8080 -m -w 2',
      '-a -t [fd00:30::41]:80 -r [fd00:180::2]:8080 -m -w 1',
      `-A -t [2001:db8:203::1]:80 ${web}`,
      '-a -t [2001:db8:203::1]:80 -r [fd00:180::2]:8080 -m -w 1',
      `-A -t [2001:db8::10]:30001 ${web}`,
      '-a -t [2001:db8::10]:30001 -r [fd00:180::2]:8080 -m -w 1',
      '-A -u [fd00:30::42]:80 -s wlc',
      '-a -u [fd00:30::42]:80 -r [fd00:180::1]:8080 -m -w 2',
      '-A -u [2001:db8::10]:30002 -s wlc',
      '-A -t [2001:db8:99::1]:80 -s wlc',
      `-A -f 4097 -6 ${web}`,
      '-a -f 4097 -6 -r [fd00:180::1]:8080 -m -w 2',
      '-a -f 4097 -6 -r [fd00:180::2]:8080 -m -w 1',
      '-A -f 4098 -6 -s wlc',
    ])
  })

  it('has the addresses of kube-ipvs0, which are nobody’s source', () => {
    const device = ['link add kube-ipvs0 type dummy', 'link set kube-ipvs0 up']
    expect(partsOf('IPv4').get('IPv4: ip -batch -')).toEqual([
      ...device,
      ...['172.30.0.41', '203.0.113.1', '172.30.0.42', '192.168.99.1'].map(
        (at) => `addr add ${at}/32 dev kube-ipvs0 scope host`,
      ),
    ])
    expect(partsOf('IPv6').get('IPv6: ip -batch -')).toContain(
      'addr add fd00:30::41/128 dev kube-ipvs0 nodad preferred_lft 0',
    )
  })
})
