import { fixedLayout } from '../../src/backends/iptables/fixed.ts'
import { layoutService } from '../../src/backends/iptables/layout.ts'
import type { OwnChain, SetElement } from '../../src/backends/iptables/layout-types.ts'
import { type SetRole, setName, setRoles } from '../../src/backends/iptables/sets.ts'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import type { FixedChain, FixedTable } from '../../src/backends/rules/fixed-layout.ts'
import { restoreText, type Statement, type TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import type { RuleText } from '../../src/kernel/iptables/rule-text.ts'
import { defaultConnections } from '../../src/model/connections.ts'
import type { ServiceState, Target } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'
import type { Family, IP } from '../../src/model/ip.ts'
import { servicePortId, servicePortName } from '../../src/model/names.ts'
import { defaultScheduling } from '../../src/model/scheduling.ts'
import { cidr, ip, key, port } from '../property/track-objects.ts'

/** Service ports, and what the iptables backend lays out for them, put together without its plan. */

export const hostOf = (family: Family, over: Partial<HostState> = {}): HostState => ({
  family,
  detector: { kind: 'cidr', cidr: family === 'IPv4' ? cidr('10.0.0.0/8') : cidr('fd00:10::/64') },
  masqueradeAll: false,
  masqueradeMark: 0x4000,
  nodePortAddresses: { kind: 'all' },
  serviceCidrs: [],
  addresses: [],
  ...over,
})

export const settingsOf = (family: Family, over: Partial<IptablesSettings> = {}): IptablesSettings => ({
  family,
  localhostNodePorts: true,
  dropInvalid: true,
  randomFully: true,
  nfacct: true,
  ipset: false,
  dispatch: 'flat',
  ...over,
})

/** Addresses by what they are for, the same number in both families. */
export const addresses = (family: Family) => {
  const of =
    (v4: string, v6: string) =>
    (n: number): IP =>
      ip(family === 'IPv4' ? `${v4}.${n}` : `${v6}::${n}`)
  return {
    cluster: of('172.30.0', 'fd00:30'),
    pod: of('10.180.0', 'fd00:180'),
    external: of('192.168.99', '2001:db8:99'),
    balancer: of('203.0.113', '2001:db8:203'),
    range: (n: number) => cidr(family === 'IPv4' ? `198.51.${n}.0/24` : `2001:db8:${n}::/48`),
  }
}

export const targetOf = (address: IP, over: Partial<Target> = {}): Target => ({
  ip: address,
  port: port(80),
  weight: 1,
  local: false,
  ...over,
})

/** `ns1/svc1:p80` on 172.30.0.41 or fd00:30::41, with no endpoints. */
export const stateOf = (family: Family, name: string, over: Partial<ServiceState> = {}): ServiceState => {
  const [service = '', portName = ''] = name.split(':')
  const protocol = over.protocol ?? 'TCP'
  const of = servicePortName(key(service), portName)
  const { cluster = [], local = [] } = over
  return {
    id: servicePortId(of, protocol),
    name: of,
    service: key(service),
    family,
    protocol,
    port: port(80),
    clusterIP: addresses(family).cluster(41),
    externalIPs: [],
    loadBalancerIPs: [],
    nodePort: undefined,
    healthCheckNodePort: undefined,
    sourceRanges: undefined,
    nodeInSourceRanges: false,
    internalPolicy: 'Cluster',
    externalPolicy: 'Cluster',
    affinitySeconds: undefined,
    scheduling: defaultScheduling,
    connections: defaultConnections,
    cluster: [],
    local: [],
    hasEndpoints: cluster.length + local.length > 0,
    ...over,
  }
}

/** The Services that kube-proxy's own tests are about, as far as one is of each kind. */
export const wellKnown = (family: Family): readonly ServiceState[] => {
  const { cluster, pod, external, balancer, range } = addresses(family)
  return [
    stateOf(family, 'ns1/svc1:p80', { cluster: [targetOf(pod(1))] }),
    stateOf(family, 'ns2/svc2:p80', {
      clusterIP: cluster(42),
      externalIPs: [external(22)],
      loadBalancerIPs: [balancer(4)],
      nodePort: port(3001),
      healthCheckNodePort: port(30_000),
      externalPolicy: 'Local',
      cluster: [targetOf(pod(2))],
    }),
    stateOf(family, 'ns3/svc3:p80', { clusterIP: cluster(43), nodePort: port(3003), cluster: [targetOf(pod(3))] }),
    stateOf(family, 'ns4/svc4:p80', {
      clusterIP: cluster(44),
      externalIPs: [external(33)],
      cluster: [targetOf(pod(4)), targetOf(pod(5), { local: true })],
    }),
    stateOf(family, 'ns5/svc5:p80', {
      clusterIP: cluster(45),
      loadBalancerIPs: [balancer(5)],
      nodePort: port(3002),
      sourceRanges: [range(100)],
      affinitySeconds: 10_800,
      cluster: [targetOf(pod(3))],
    }),
    stateOf(family, 'ns6/svc6:p80', { clusterIP: cluster(46) }),
  ]
}

/** Both policies with and without endpoints here, every kind of address, every protocol. */
export const policies = (family: Family): readonly ServiceState[] => {
  const { cluster, pod, external, balancer, range } = addresses(family)
  const far = targetOf(pod(1), { port: port(8080) })
  const near = targetOf(pod(2), { port: port(8080), local: true })
  const everywhere = (n: number) => ({
    externalIPs: [external(n)],
    loadBalancerIPs: [balancer(n), balancer(n + 1)],
    nodePort: port(30_000 + n),
    clusterIP: cluster(n),
  })
  const policyLocal = { internalPolicy: 'Local', externalPolicy: 'Local' } as const
  return [
    stateOf(family, 'local/here', { ...everywhere(10), ...policyLocal, cluster: [far, near], local: [near] }),
    stateOf(family, 'local/elsewhere', { ...everywhere(20), ...policyLocal, cluster: [far] }),
    stateOf(family, 'local/nowhere', { ...everywhere(30), ...policyLocal, healthCheckNodePort: port(32_000) }),
    stateOf(family, 'local/internal:dns', {
      ...everywhere(40),
      protocol: 'UDP',
      internalPolicy: 'Local',
      cluster: [far, near],
      local: [near],
    }),
    stateOf(family, 'local/external:dns', {
      ...everywhere(50),
      protocol: 'UDP',
      externalPolicy: 'Local',
      cluster: [far, near],
      local: [near],
      affinitySeconds: 600,
    }),
    stateOf(family, 'cluster/nowhere', { ...everywhere(60), protocol: 'UDP', sourceRanges: [range(100)] }),
    stateOf(family, 'guarded/cluster', {
      ...everywhere(70),
      protocol: 'SCTP',
      sourceRanges: [range(100), range(99)],
      nodeInSourceRanges: true,
      cluster: [far, near],
    }),
    stateOf(family, 'guarded/elsewhere', {
      ...everywhere(80),
      protocol: 'SCTP',
      sourceRanges: [range(100)],
      externalPolicy: 'Local',
      cluster: [far],
    }),
    stateOf(family, 'sctp/nowhere', { ...everywhere(90), protocol: 'SCTP' }),
  ]
}

export interface Layouts {
  readonly tables: readonly TableChange[]
  readonly elements: readonly SetElement[]
}

/** Fixed chains and hooks, and what Services add to them, as one restore for a clean node. Entries are not spread. */
export const layoutsOf = (
  host: HostState,
  settings: IptablesSettings,
  states: readonly ServiceState[],
  large = false,
): Layouts => {
  const fixed = fixedLayout(host, settings)
  const layouts = states.map((state) => layoutService(state, { host, settings, large }))
  const members = new Map<string, RuleText[]>()
  const addMember = (chain: string, ...rules: readonly RuleText[]): void => {
    members.set(chain, [...(members.get(chain) ?? []), ...rules])
  }
  const [services, nodePorts] = settings.ipset
    ? ['WEIR-SERVICES', 'WEIR-NODEPORTS']
    : ['KUBE-SERVICES', 'KUBE-NODEPORTS']
  for (const layout of layouts) {
    for (const { rules } of layout.services) addMember(`nat ${services}`, ...rules)
    for (const { rules } of layout.nodePorts) addMember(`nat ${nodePorts}`, ...rules)
    for (const { chain, rule } of layout.filter) addMember(`filter ${chain}`, rule)
  }
  const own = layouts.flatMap(({ chains }) => chains)
  const table = (name: 'mangle' | 'filter' | 'nat', { chains, hooks }: FixedTable, more: readonly OwnChain[]) => {
    const all = [...chains.map((chain) => whole(chain, members.get(`${name} ${chain.name}`) ?? [])), ...more]
    const statements: readonly Statement[] = [
      ...all.map(({ name: chain }): Statement => ({ kind: 'chain', chain, tag: undefined })),
      ...all.flatMap(({ name: chain, rules }) =>
        rules.map((rule): Statement => ({ kind: 'append', chain, rule, tag: undefined })),
      ),
      ...hooks.map(({ chain, rule }): Statement => ({ kind: 'insert', chain, rule, tag: undefined })),
    ]
    return { table: name, statements }
  }
  return {
    tables: [table('mangle', fixed.mangle, []), table('filter', fixed.filter, []), table('nat', fixed.nat, own)],
    elements: layouts.flatMap(({ elements }) => elements),
  }
}

const whole = ({ name, head, tail }: FixedChain, members: readonly RuleText[]): OwnChain => ({
  name,
  rules: [...head, ...members, ...tail],
})

/** The same as one text: sets for `ipset restore`, then rules for `iptables-restore`. */
export const layoutsText = ({ tables, elements }: Layouts, { ipset, family }: IptablesSettings): string =>
  (ipset ? setsText(family, elements) : '') + restoreText(tables)

/** Every set with its members, each once. */
export const setsText = (family: Family, elements: readonly SetElement[]): string => {
  const lines: string[] = []
  for (const role of Object.keys(setRoles) as SetRole[]) {
    const { type } = setRoles[role]
    const name = setName(role, family)
    const options = type === 'bitmap:port' ? 'range 0-65535' : `family ${family === 'IPv4' ? 'inet' : 'inet6'}`
    lines.push(`create ${name} ${type} ${options}`)
    const members = new Set(elements.filter(({ set }) => set === role).map(({ member }) => member))
    for (const member of members) lines.push(`add ${name} ${member}`)
  }
  return `${lines.join('\n')}\n`
}

/** Rules of table nat and filter without hooks. */
export const ruleCount = ({ tables }: Layouts): number =>
  tables.reduce((sum, { statements }) => sum + statements.filter(({ kind }) => kind === 'append').length, 0)
