/**
 * Table nat as kube-proxy 1.36 fills it in iptables mode, as far as opening a connection to a ClusterIP needs it; its
 * dispatch as it is, or spread over a tree. All Services have one endpoint: how one is picked costs the same everywhere.
 */
import { createHash } from 'node:crypto'
import type { Entry } from '../../src/backends/iptables/layout-types.ts'
import { protocolDigit } from '../../src/backends/iptables/protocol-digit.ts'
import { DispatchTree } from '../../src/backends/iptables/tree/tree.ts'
import { restoreText, type Statement } from '../../src/kernel/iptables/restore-builder.ts'
import { type RuleText, ruleText } from '../../src/kernel/iptables/rule-text.ts'
import { clusterCidr, scatteredClusterIPs } from '../cluster/addresses.ts'
import { synthesize } from '../cluster/cluster.ts'
import { targetPort } from '../cluster/manifests.ts'

export type Dispatch = { readonly kind: 'flat' } | { readonly kind: 'tree'; readonly leafSize: number }

export interface DispatchedService {
  readonly ip: string
  readonly port: number
  readonly name: string
  readonly endpoint: string
}

/** Services by address. The last one is the last rule of a flat dispatch, and the last child at each branch of a tree. */
export interface ServiceList {
  readonly services: readonly DispatchedService[]
  /** Others, to be added one after the other. */
  readonly more: readonly DispatchedService[]
}

/** ClusterIPs are scattered over the range. */
export const scatteredServices = (seed: number, count: number, more: number): ServiceList => {
  const addresses = scatteredClusterIPs(seed, count, more)
  const ips = [...addresses.sorted, ...addresses.more]
  const all = Array.from(
    synthesize({ seed, services: count + more, endpoints: 1 }),
    ({ namespace, name, clusterIP, port, members }, i) => ({
      ip: ips[i] ?? clusterIP,
      port,
      name: `${namespace}/${name}:http`,
      endpoint: members[0]?.ip ?? '',
    }),
  )
  return { services: all.slice(0, count), more: all.slice(count) }
}

/** Services in the kernel's words, and what one more takes. Texts are input for iptables-restore. */
export interface Ruleset {
  /** All of it, for an empty table. */
  readonly text: string
  /** How many chains and rules there are for the dispatch alone, without the rules of the Services in it. */
  readonly extra: { readonly chains: number; readonly rules: number }
  /** What brings one more Service, and what takes it away again. */
  readonly change: (service: DispatchedService) => { readonly add: string; readonly remove: string }
}

export const rulesetOf = (services: readonly DispatchedService[], dispatch: Dispatch): Ruleset =>
  dispatch.kind === 'flat' ? flatRuleset(services) : treeRuleset(services, dispatch.leafSize)

const flatRuleset = (services: readonly DispatchedService[]): Ruleset => ({
  text: natTable(services, [{ name: root, rules: [...services.flatMap((one) => entryOf(one).rules), nodePortGate] }]),
  extra: { chains: 0, rules: 0 },
  change: (service) => {
    const chains = ownChains(service)
    const { rules } = entryOf(service)
    const inserted = rules.map((rule): Statement => ({ kind: 'insert', chain: root, rule }))
    const deleted = rules.map((rule): Statement => ({ kind: 'delete', chain: root, rule }))
    return {
      add: natText([...written(chains), ...inserted]),
      remove: natText([...deleted, ...gone(chains.map(({ name }) => name))]),
    }
  },
})

const treeRuleset = (services: readonly DispatchedService[], leafSize: number): Ruleset => {
  const empty = DispatchTree.empty({ root, family: 'IPv4', kind: 'address' }, leafSize)
  const tree = empty.with(services.map(entryOf), [])
  const rootOf = (one: DispatchTree): NamedRules => ({ name: root, rules: [...one.rootRules(), nodePortGate] })
  const chains = [...tree.chains()]
  const step = (from: DispatchTree, to: DispatchTree, own: { readonly come: Chains; readonly go: Chains }): string => {
    const changes = to.changesSince(from)
    return natText([
      ...written([...own.come, ...changes.written]),
      ...(changes.root ? [{ kind: 'flush', chain: root } as const, ...appended(rootOf(to))] : []),
      ...gone([...changes.gone, ...own.go.map(({ name }) => name)]),
    ])
  }
  return {
    text: natTable(services, [...chains, rootOf(tree)]),
    extra: { chains: chains.length, rules: tree.ruleCount - services.length },
    change: (service) => {
      const more = tree.with([entryOf(service)], [])
      const own = ownChains(service)
      return { add: step(tree, more, { come: own, go: [] }), remove: step(more, tree, { come: [], go: own }) }
    },
  }
}

interface NamedRules {
  readonly name: string
  readonly rules: readonly RuleText[]
}
type Chains = readonly NamedRules[]

const root = 'KUBE-SERVICES'

const natTable = (services: readonly DispatchedService[], dispatch: Chains): string =>
  natText([
    ...written([...fixedChains, ...services.flatMap(ownChains), ...dispatch]),
    ...hooks.map(([chain, rule]): Statement => ({ kind: 'append', chain, rule })),
  ])

const natText = (statements: readonly Statement[]): string => restoreText([{ table: 'nat', statements }])

const written = (chains: Chains): readonly Statement[] => [
  ...chains.map(({ name }): Statement => ({ kind: 'chain', chain: name })),
  ...chains.flatMap(appended),
]

const appended = ({ name, rules }: NamedRules): readonly Statement[] =>
  rules.map((rule): Statement => ({ kind: 'append', chain: name, rule }))

const gone = (names: readonly string[]): readonly Statement[] => [
  ...names.map((chain): Statement => ({ kind: 'flush', chain })),
  ...names.map((chain): Statement => ({ kind: 'deleteChain', chain })),
]

const comment = (text: string): readonly string[] => ['-m', 'comment', '--comment', text]

const nodePortGate = ruleText(
  ...comment('kubernetes service nodeports; NOTE: this must be the last rule in this chain'),
  ...['-m', 'addrtype', '--dst-type', 'LOCAL', '-j', 'KUBE-NODEPORTS'],
)

const portals = ruleText(...comment('kubernetes service portals'), '-j', 'KUBE-SERVICES')
const hooks: readonly (readonly [chain: string, rule: RuleText])[] = [
  ['PREROUTING', portals],
  ['OUTPUT', portals],
  ['POSTROUTING', ruleText(...comment('kubernetes postrouting rules'), '-j', 'KUBE-POSTROUTING')],
]

const masquerade = [...comment('kubernetes service traffic requiring SNAT'), '-j', 'MASQUERADE', '--random-fully']
const fixedChains: Chains = [
  { name: 'KUBE-NODEPORTS', rules: [] },
  { name: 'KUBE-MARK-MASQ', rules: [ruleText('-j', 'MARK', '--or-mark', '0x4000')] },
  {
    name: 'KUBE-POSTROUTING',
    rules: [
      ruleText('-m', 'mark', '!', '--mark', '0x4000/0x4000', '-j', 'RETURN'),
      ruleText('-j', 'MARK', '--xor-mark', '0x4000'),
      ruleText(...masquerade),
    ],
  },
]

const chainOf = (kind: 'SVC' | 'SEP', text: string): string =>
  `KUBE-${kind}-${createHash('sha256').update(text).digest('hex').slice(0, 16).toUpperCase()}`

const frontend = ({ ip, port }: DispatchedService, text: string): readonly string[] => [
  ...['-d', `${ip}/32`, '-p', 'tcp'],
  ...comment(text),
  ...['-m', 'tcp', '--dport', String(port)],
]

const entryOf = (service: DispatchedService): Entry => ({
  key: hexOf(service.ip) + protocolDigit.TCP + service.port.toString(16).padStart(4, '0'),
  rules: [ruleText(...frontend(service, `${service.name} cluster IP`), '-j', chainOf('SVC', service.name))],
})

const ownChains = (service: DispatchedService): Chains => {
  const { name, endpoint } = service
  const to = `${endpoint}:${targetPort}`
  const ofEndpoint = chainOf('SEP', name + to)
  return [
    {
      name: chainOf('SVC', name),
      rules: [
        ruleText('!', '-s', clusterCidr, ...frontend(service, `${name} cluster IP`), '-j', 'KUBE-MARK-MASQ'),
        ruleText(...comment(`${name} -> ${to}`), '-j', ofEndpoint),
      ],
    },
    {
      name: ofEndpoint,
      rules: [
        ruleText('-s', `${endpoint}/32`, ...comment(name), '-j', 'KUBE-MARK-MASQ'),
        ruleText('-p', 'tcp', ...comment(name), '-m', 'tcp', '-j', 'DNAT', '--to-destination', to),
      ],
    },
  ]
}

const hexOf = (ip: string): string =>
  ip
    .split('.')
    .map((octet) => Number(octet).toString(16).padStart(2, '0'))
    .join('')
