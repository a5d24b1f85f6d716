import { createHash } from 'node:crypto'
import type { Family } from '../../src/model/ip.ts'

/** What kube-proxy of Kubernetes 1.36 programs for a few Services, as input for `iptables-restore --noflush`. */
export const kubeProxyRules = (family: Family, mode: 'iptables' | 'ipvs'): string =>
  mode === 'iptables' ? iptablesMode(addresses[family]) : ipvsMode(family)

interface Addresses {
  readonly clusterIP: string
  readonly loadBalancerIP: string
  readonly endpoints: readonly string[]
  readonly pods: string
  readonly range: string
  readonly loopback: string
  readonly bits: number
}

const addresses: Readonly<Record<Family, Addresses>> = {
  IPv4: {
    clusterIP: '10.96.0.10',
    loadBalancerIP: '203.0.113.5',
    endpoints: ['10.244.0.2', '10.244.0.3', '10.244.1.2'],
    pods: '10.244.0.0/16',
    range: '198.51.100.0/24',
    loopback: '127.0.0.0/8',
    bits: 32,
  },
  IPv6: {
    clusterIP: 'fd00:96::10',
    loadBalancerIP: '2001:db8:5::5',
    endpoints: ['fd00:244::2', 'fd00:244::3', 'fd00:244:1::2'],
    pods: 'fd00:244::/32',
    range: '2001:db8:1::/64',
    loopback: '::1/128',
    bits: 128,
  },
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The first 80 bits of a SHA-256 in Base32. */
export const chainHash = (text: string): string => {
  const bits = BigInt(`0x${createHash('sha256').update(text).digest('hex').slice(0, 20)}`)
  return Array.from({ length: 16 }, (_, i) => alphabet[Number((bits >> BigInt(75 - 5 * i)) & 31n)]).join('')
}

const restore = (table: string, chains: readonly string[], rules: readonly string[]): string =>
  `*${table}\n${chains.map((chain) => `:${chain} - [0:0]\n`).join('')}${rules.map((rule) => `${rule}\n`).join('')}COMMIT\n`

const comment = (text: string): string => `-m comment --comment "${text}"`
const isNew = '-m conntrack --ctstate NEW'

const iptablesMode = (family: Addresses): string => {
  const service = natOfService(family, 'ns1/svc1:p80', 80, 30_080)
  const local = natOfService(family, 'kube-system/dns', 53, 30_053)
  const target = `${family.loadBalancerIP}/${family.bits}`
  const nat = restore(
    'nat',
    [
      'KUBE-SERVICES',
      'KUBE-NODEPORTS',
      'KUBE-POSTROUTING',
      'KUBE-MARK-MASQ',
      'KUBE-PROXY-CANARY',
      ...service.chains,
      ...local.chains,
    ],
    [
      `-I OUTPUT ${comment('kubernetes service portals')} -j KUBE-SERVICES`,
      `-I PREROUTING ${comment('kubernetes service portals')} -j KUBE-SERVICES`,
      `-I POSTROUTING ${comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING`,
      '-A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000 -j RETURN',
      '-A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000',
      `-A KUBE-POSTROUTING ${comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully`,
      '-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000',
      ...service.rules,
      ...local.rules,
      `-A KUBE-SERVICES ${comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain')} -m addrtype --dst-type LOCAL ! -d ${family.loopback} -j KUBE-NODEPORTS`,
    ],
  )
  const filter = restore(
    'filter',
    [
      'KUBE-SERVICES',
      'KUBE-EXTERNAL-SERVICES',
      'KUBE-NODEPORTS',
      'KUBE-FORWARD',
      'KUBE-PROXY-FIREWALL',
      'KUBE-PROXY-CANARY',
    ],
    [
      ...['INPUT', 'FORWARD'].map(
        (chain) =>
          `-I ${chain} ${isNew} ${comment('kubernetes externally-visible service portals')} -j KUBE-EXTERNAL-SERVICES`,
      ),
      `-I INPUT ${comment('kubernetes health check service ports')} -j KUBE-NODEPORTS`,
      ...['FORWARD', 'OUTPUT'].map(
        (chain) => `-I ${chain} ${isNew} ${comment('kubernetes service portals')} -j KUBE-SERVICES`,
      ),
      `-I FORWARD ${comment('kubernetes forwarding rules')} -j KUBE-FORWARD`,
      ...['INPUT', 'OUTPUT', 'FORWARD'].map(
        (chain) => `-I ${chain} ${isNew} ${comment('kubernetes load balancer firewall')} -j KUBE-PROXY-FIREWALL`,
      ),
      '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
      `-A KUBE-FORWARD ${comment('kubernetes forwarding rules')} -m mark --mark 0x00004000/0x00004000 -j ACCEPT`,
      `-A KUBE-FORWARD ${comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A KUBE-SERVICES -d ${family.clusterIP} -p udp -m udp --dport 53 ${comment('ns1/gone has no endpoints')} -j REJECT`,
      `-A KUBE-EXTERNAL-SERVICES ${comment('ns1/svc1:p80 has no local endpoints')} -m addrtype --dst-type LOCAL -p tcp -m tcp --dport 30080 -j DROP`,
      `-A KUBE-NODEPORTS ${comment('ns1/svc1:p80 health check node port')} -p tcp -m tcp --dport 31000 -j ACCEPT`,
      `-A KUBE-PROXY-FIREWALL ${comment('ns1/svc1:p80 traffic not accepted by KUBE-FW')} -d ${target} -p tcp -m tcp --dport 80 -j DROP`,
    ],
  )
  return nat + filter + restore('mangle', ['KUBE-PROXY-CANARY'], [])
}

interface Lines {
  readonly chains: readonly string[]
  readonly rules: readonly string[]
}

/** A Service with every kind of chain; an XLB chain as releases before 1.24 had it. */
const natOfService = (family: Addresses, name: string, port: number, nodePort: number): Lines => {
  const hash = chainHash(`${name}tcp`)
  const chain = (kind: string): string => `KUBE-${kind}-${hash}`
  const endpoints = family.endpoints.map((ip) => {
    const at = ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
    return { ip, at, chain: `KUBE-SEP-${chainHash(`${name}tcp${at}`)}` }
  })
  const to = (ip: string): string => `-d ${ip}/${family.bits} -p tcp -m tcp --dport ${port}`
  const pick = (from: string): string[] =>
    endpoints.map((endpoint, i) => {
      const left = endpoints.length - i
      const chance = left === 1 ? '' : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `
      return `-A ${from} ${comment(`${name} -> ${endpoint.at}`)} ${chance}-j ${endpoint.chain}`
    })
  return {
    chains: [...['SVC', 'SVL', 'EXT', 'FW', 'XLB'].map(chain), ...endpoints.map((endpoint) => endpoint.chain)],
    rules: [
      `-A KUBE-SERVICES ${comment(`${name} cluster IP`)} ${to(family.clusterIP)} -j ${chain('SVC')}`,
      `-A KUBE-SERVICES ${comment(`${name} loadbalancer IP`)} ${to(family.loadBalancerIP)} -j ${chain('FW')}`,
      `-A KUBE-NODEPORTS ${comment(name)} -p tcp -m tcp --dport ${nodePort} -j ${chain('EXT')}`,
      `-A ${chain('FW')} ${comment(`${name} loadbalancer IP`)} -s ${family.range} -j ${chain('EXT')}`,
      `-A ${chain('FW')} ${comment('other traffic will be dropped by KUBE-PROXY-FIREWALL')}`,
      `-A ${chain('EXT')} ${comment('pod traffic')} -s ${family.pods} -j ${chain('SVC')}`,
      `-A ${chain('EXT')} ${comment('masquerade LOCAL traffic')} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
      `-A ${chain('EXT')} -j ${chain('SVL')}`,
      `-A ${chain('XLB')} -j ${chain('SVL')}`,
      `-A ${chain('SVC')} ${comment(`${name} cluster IP`)} ${to(family.clusterIP)} ! -s ${family.pods} -j KUBE-MARK-MASQ`,
      ...endpoints.map(
        (endpoint) =>
          `-A ${chain('SVC')} ${comment(`${name} -> ${endpoint.at}`)} -m recent --name ${endpoint.chain} --rcheck --seconds 10800 --reap -j ${endpoint.chain}`,
      ),
      ...pick(chain('SVC')),
      ...pick(chain('SVL')),
      ...endpoints.flatMap((endpoint) => [
        `-A ${endpoint.chain} ${comment(name)} -s ${endpoint.ip} -j KUBE-MARK-MASQ`,
        `-A ${endpoint.chain} ${comment(name)} -m recent --name ${endpoint.chain} --set -m tcp -p tcp -j DNAT --to-destination ${endpoint.at}`,
      ]),
    ],
  }
}

const setTypes = {
  'KUBE-LOOP-BACK': 'hash:ip,port,ip',
  'KUBE-CLUSTER-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP': 'hash:ip,port',
  'KUBE-EXTERNAL-IP-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-LOCAL': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-FW': 'hash:ip,port',
  'KUBE-LOAD-BALANCER-SOURCE-CIDR': 'hash:ip,port,net',
  'KUBE-LOAD-BALANCER-SOURCE-IP': 'hash:ip,port,ip',
  'KUBE-NODE-PORT-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-TCP': 'bitmap:port',
  'KUBE-NODE-PORT-LOCAL-UDP': 'bitmap:port',
  'KUBE-NODE-PORT-SCTP-HASH': 'hash:ip,port',
  'KUBE-NODE-PORT-LOCAL-SCTP-HASH': 'hash:ip,port',
  'KUBE-HEALTH-CHECK-NODE-PORT': 'bitmap:port',
  'KUBE-IPVS-IPS': 'hash:ip',
} as const

const setName = (family: Family, name: string): string =>
  family === 'IPv4' ? name : name.replace('KUBE-', 'KUBE-6-').slice(0, 31)

/** kube-proxy's sets in IPVS mode, as input for `ipset restore`. */
export const kubeProxySetCommands = (family: Family): string =>
  Object.entries(setTypes)
    .map(([name, type]) => {
      const options = type === 'bitmap:port' ? 'range 0-65535' : `family ${family === 'IPv4' ? 'inet' : 'inet6'}`
      return `create ${setName(family, name)} ${type} ${options}\n`
    })
    .join('')

const ipvsMode = (family: Family): string => {
  const set = (name: keyof typeof setTypes, sides: string): string =>
    `-m set --match-set ${setName(family, name)} ${sides}`
  const nat = restore(
    'nat',
    ['KUBE-SERVICES', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ', 'KUBE-NODE-PORT', 'KUBE-LOAD-BALANCER'],
    [
      `-I OUTPUT ${comment('kubernetes service portals')} -j KUBE-SERVICES`,
      `-I PREROUTING ${comment('kubernetes service portals')} -j KUBE-SERVICES`,
      `-I POSTROUTING ${comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING`,
      `-A KUBE-SERVICES ${set('KUBE-LOAD-BALANCER', 'dst,dst')} -j KUBE-LOAD-BALANCER`,
      `-A KUBE-SERVICES ${set('KUBE-CLUSTER-IP', 'src,dst')} -j KUBE-MARK-MASQ`,
      '-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT',
      `-A KUBE-SERVICES ${set('KUBE-CLUSTER-IP', 'dst,dst')} -j ACCEPT`,
      `-A KUBE-LOAD-BALANCER ${set('KUBE-LOAD-BALANCER-LOCAL', 'dst,dst')} -j RETURN`,
      '-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ',
      `-A KUBE-NODE-PORT -p tcp ${set('KUBE-NODE-PORT-TCP', 'dst')} -j KUBE-MARK-MASQ`,
      `-A KUBE-POSTROUTING ${set('KUBE-LOOP-BACK', 'dst,dst,src')} -j MASQUERADE`,
      '-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000',
    ],
  )
  const filter = restore(
    'filter',
    [
      'KUBE-FORWARD',
      'KUBE-PROXY-FIREWALL',
      'KUBE-NODE-PORT',
      'KUBE-SOURCE-RANGES-FIREWALL',
      'KUBE-IPVS-FILTER',
      'KUBE-IPVS-OUT-FILTER',
    ],
    [
      `-I FORWARD ${comment('kubernetes forwarding rules')} -j KUBE-FORWARD`,
      ...['FORWARD', 'INPUT'].map(
        (chain) => `-I ${chain} ${comment('kube-proxy firewall rules')} -j KUBE-PROXY-FIREWALL`,
      ),
      `-I INPUT ${comment('kubernetes health check rules')} -j KUBE-NODE-PORT`,
      `-I INPUT ${comment('kubernetes ipvs access filter')} -j KUBE-IPVS-FILTER`,
      `-I OUTPUT ${comment('kubernetes ipvs access filter')} -j KUBE-IPVS-OUT-FILTER`,
      `-A KUBE-PROXY-FIREWALL ${set('KUBE-LOAD-BALANCER-FW', 'dst,dst')} -j KUBE-SOURCE-RANGES-FIREWALL`,
      `-A KUBE-SOURCE-RANGES-FIREWALL ${set('KUBE-LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src')} -j RETURN`,
      '-A KUBE-SOURCE-RANGES-FIREWALL -j DROP',
      `-A KUBE-NODE-PORT ${set('KUBE-HEALTH-CHECK-NODE-PORT', 'dst')} -j ACCEPT`,
      `-A KUBE-IPVS-FILTER ${set('KUBE-CLUSTER-IP', 'dst,dst')} -j RETURN`,
      `-A KUBE-IPVS-FILTER ${isNew} ${set('KUBE-IPVS-IPS', 'dst')} -j REJECT`,
    ],
  )
  return nat + filter
}

/** Everybody else on a node: Docker, Calico, kubelet, kube-router, ufw, an administrator. With counters. */
export const foreignRules = (family: Family): string => {
  const net = family === 'IPv4' ? '172.17.0.0/16' : 'fd00:172::/64'
  return `*raw
:PREROUTING ACCEPT [11:1100]
:cali-PREROUTING - [0:0]
[3:300] -A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
[1:100] -A cali-PREROUTING -j MARK --set-xmark 0x0/0xf0000
COMMIT
*mangle
:FORWARD ACCEPT [7:700]
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
[2:200] -A FORWARD -o eth0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*nat
:PREROUTING ACCEPT [21:2100]
:OUTPUT ACCEPT [22:2200]
:DOCKER - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-MARK-DROP - [0:0]
:KUBE-HOSTPORTS - [0:0]
:KUBE-SVC-MINE - [0:0]
:KUBE-SEP-0189ABCDEFGHIJKL - [0:0]
:KUBE-SVC-ABCDEFGHIJKLMNOPQ - [0:0]
:KUBE-ROUTER-HAIRPIN - [0:0]
:cali-nat - [0:0]
[5:500] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
[4:400] -A PREROUTING -m comment --comment "-j KUBE-SERVICES" -j cali-nat
[4:401] -A PREROUTING -m comment --comment "kubernetes \\"service\\" portals" -j cali-nat
[6:600] -A POSTROUTING -s ${net} ! -o docker0 -j MASQUERADE
[8:800] -A DOCKER -i docker0 -j RETURN
[9:900] -A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000
[1:60] -A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SVC-MINE
[1:61] -A KUBE-SVC-MINE -j KUBE-SEP-0189ABCDEFGHIJKL
[1:62] -A OUTPUT -j KUBE-HOSTPORTS
COMMIT
*filter
:INPUT ACCEPT [31:3100]
:FORWARD DROP [32:3200]
:OUTPUT ACCEPT [33:3300]
:DOCKER-USER - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-NWPLCY-DEFAULT - [0:0]
:KUBE-MARK-MASQ - [0:0]
:ufw-before-forward - [0:0]
[1:70] -A INPUT -j KUBE-FIREWALL
[2:71] -A FORWARD -j DOCKER-USER
[2:72] -A FORWARD -i eth0 -j ufw-before-forward
[3:73] -A OUTPUT -j KUBE-FIREWALL
[4:74] -A DOCKER-USER -j RETURN
[5:75] -A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
[6:76] -A KUBE-NWPLCY-DEFAULT -j KUBE-MARK-MASQ
[7:77] -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`
}

/** Only the policies of {@link foreignRules} and their counters, which any legacy commit zeroes. */
export const foreignPolicies = (family: Family): string =>
  foreignRules(family).replaceAll(/^(?:\[.*|:\S+ - .*)\n/gm, '')

/** Tables of nftables mode. */
export const kubeProxyTables = `
  table ip kube-proxy {
    map service-ips {
      type ipv4_addr . inet_proto . inet_service : verdict
      elements = { 10.96.0.10 . tcp . 80 : goto service-x }
    }
    chain service-x { meta l4proto tcp dnat to 10.244.0.2:80; }
    chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
    chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  }
  table ip6 kube-proxy { chain filter-input { type filter hook input priority 0; }; }
`

/** Others with names like theirs. */
export const foreignTables = `
  table ip kube-proxy2 {
    chain input { type filter hook input priority 5; counter packets 12 bytes 1200; }
  }
  table inet kube-proxy {
    set s { type ipv4_addr; elements = { 192.0.2.1 }; }
    chain c { ip saddr @s drop; }
  }
  table inet weir { chain services { }; }
`
