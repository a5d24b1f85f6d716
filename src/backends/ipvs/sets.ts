import type { SetType } from '../../kernel/ipset/ipset.ts'
import type { Family } from '../../model/ip.ts'

interface SetDescription {
  readonly name: string
  readonly type: SetType
  readonly marks?: true
  /** What a member stands for; `ipset list` does not show it. */
  readonly holds: string
}

/** kube-proxy's sets under kube-proxy's names, and some of our own (`WEIR-IPVS-`) for what kube-proxy's mode ipvs does not do. */
export const setRoles = {
  'LOOP-BACK': {
    name: 'KUBE-LOOP-BACK',
    type: 'hash:ip,port,ip',
    holds: 'local endpoints, which may reach themselves',
  },
  'CLUSTER-IP': { name: 'KUBE-CLUSTER-IP', type: 'hash:ip,port', holds: 'cluster IPs' },
  'EXTERNAL-IP': { name: 'KUBE-EXTERNAL-IP', type: 'hash:ip,port', holds: 'external IPs of policy Cluster' },
  'EXTERNAL-IP-LOCAL': { name: 'KUBE-EXTERNAL-IP-LOCAL', type: 'hash:ip,port', holds: 'external IPs of policy Local' },
  'LOAD-BALANCER': { name: 'KUBE-LOAD-BALANCER', type: 'hash:ip,port', holds: 'load balancer addresses' },
  'LOAD-BALANCER-LOCAL': {
    name: 'KUBE-LOAD-BALANCER-LOCAL',
    type: 'hash:ip,port',
    holds: 'load balancer addresses of policy Local',
  },
  'LOAD-BALANCER-FW': {
    name: 'KUBE-LOAD-BALANCER-FW',
    type: 'hash:ip,port',
    holds: 'load balancer addresses with source ranges',
  },
  'LOAD-BALANCER-SOURCE-CIDR': {
    name: 'KUBE-LOAD-BALANCER-SOURCE-CIDR',
    type: 'hash:ip,port,net',
    holds: 'who may use them',
  },
  'LOAD-BALANCER-SOURCE-IP': {
    name: 'KUBE-LOAD-BALANCER-SOURCE-IP',
    type: 'hash:ip,port,ip',
    holds: 'themselves, where the node is in a range: it comes from the address it goes to',
  },
  'NODE-PORT-TCP': { name: 'KUBE-NODE-PORT-TCP', type: 'bitmap:port', holds: 'NodePorts' },
  'NODE-PORT-LOCAL-TCP': { name: 'KUBE-NODE-PORT-LOCAL-TCP', type: 'bitmap:port', holds: 'NodePorts of policy Local' },
  'NODE-PORT-UDP': { name: 'KUBE-NODE-PORT-UDP', type: 'bitmap:port', holds: 'NodePorts' },
  'NODE-PORT-LOCAL-UDP': { name: 'KUBE-NODE-PORT-LOCAL-UDP', type: 'bitmap:port', holds: 'NodePorts of policy Local' },
  'NODE-PORT-SCTP': { name: 'KUBE-NODE-PORT-SCTP-HASH', type: 'hash:ip,port', holds: 'NodePorts by node address' },
  'NODE-PORT-LOCAL-SCTP': {
    name: 'KUBE-NODE-PORT-LOCAL-SCTP-HASH',
    type: 'hash:ip,port',
    holds: 'NodePorts of policy Local by node address',
  },
  'NODE-PORT': {
    name: 'WEIR-IPVS-NODE-PORT',
    type: 'hash:ip,port',
    holds: 'NodePorts by node address: which virtual servers are ours, also when the address has left the node',
  },
  'HEALTH-CHECK-NODE-PORT': {
    name: 'KUBE-HEALTH-CHECK-NODE-PORT',
    type: 'bitmap:port',
    holds: 'health check NodePorts',
  },
  'IPVS-IPS': { name: 'KUBE-IPVS-IPS', type: 'hash:ip', holds: 'addresses of kube-ipvs0' },
  INSIDE: {
    name: 'WEIR-IPVS-INSIDE',
    type: 'hash:ip,port',
    marks: true,
    holds: 'external addresses and NodePorts of policy Local, with the mark that leads to every endpoint',
  },
  DIRECT: {
    name: 'WEIR-IPVS-DIRECT',
    type: 'hash:ip,port',
    holds: 'addresses whose real servers answer clients themselves, so nothing is masqueraded',
  },
  DROP: { name: 'WEIR-IPVS-DROP', type: 'hash:ip,port', holds: 'cluster IPs of policy Local without local endpoints' },
  'EXT-DROP': {
    name: 'WEIR-IPVS-EXT-DROP',
    type: 'hash:ip,port',
    holds: 'external addresses and NodePorts of policy Local without local endpoints',
  },
} as const satisfies Readonly<Record<string, SetDescription>>

export type SetRole = keyof typeof setRoles

/** A set's name cannot have more bytes (IPSET_MAXNAMELEN, with its end). */
const longestName = 31

/** IPv6 names have a `6-` behind their first word, and are cut as kube-proxy cuts them. */
export const setName = (role: SetRole, family: Family): string =>
  family === 'IPv4' ? setRoles[role].name : setRoles[role].name.replace('-', '-6-').slice(0, longestName)

export const allSetRoles: readonly SetRole[] = Object.keys(setRoles).filter((role): role is SetRole => role in setRoles)
