import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceState, Target } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import { protocolWord } from '../../model/protocol.ts'
import { markMasquerade } from '../rules/fixed-rules.ts'
import { commentWords, podWords, type Words } from '../rules/rule-words.ts'
import { externalChain } from './layout-external.ts'
import { pickWords } from './layout-picks.ts'
import { filterRules } from './layout-refusals.ts'
import { internalChain, type LayoutContext, type Scope, scopeOf } from './layout-scope.ts'
import type { Entry, OwnChain, ServiceLayout } from './layout-types.ts'
import { countsLocalhost, localhostCounter, portKey, portWords, serverKey, serverWords } from './layout-words.ts'
import { addressText, endpointChain, serviceChain } from './names.ts'

/** kube-proxy's rules (pkg/proxy/iptables of Kubernetes 1.36), word by word. */
export const layoutPlain = (state: ServiceState, context: LayoutContext): ServiceLayout => {
  const scope = scopeOf(state)
  return {
    services: serviceEntries(state, scope),
    nodePorts: nodePortEntries(state, scope, context),
    filter: filterRules(state, scope),
    chains: ownChains(state, scope, context),
    elements: [],
  }
}

const serviceEntries = (state: ServiceState, scope: Scope): readonly Entry[] => {
  const entries: Entry[] = []
  const add = (ip: IP, comment: string, chain: string): void => {
    const words = [...commentWords(`${state.name} ${comment}`), ...serverWords(state, ip), '-j', chain]
    entries.push({ key: serverKey(state, ip), rules: [ruleText(...words)] })
  }
  if (scope.internal && state.clusterIP !== undefined) add(state.clusterIP, 'cluster IP', internalChain(state))
  if (scope.external) {
    const chain = serviceChain('EXT', state)
    for (const ip of state.externalIPs) add(ip, 'external IP', chain)
    const balanced = scope.guarded ? serviceChain('FW', state) : chain
    for (const ip of state.loadBalancerIPs) add(ip, 'loadbalancer IP', balanced)
  }
  return entries
}

const nodePortEntries = (state: ServiceState, scope: Scope, { settings }: LayoutContext): readonly Entry[] => {
  const { name, protocol, nodePort } = state
  if (nodePort === undefined || !scope.external) return []
  const jump = ['-j', serviceChain('EXT', state)]
  const rules = [ruleText(...commentWords(name), ...portWords(protocol, nodePort), ...jump)]
  if (countsLocalhost(settings)) {
    const p = protocolWord[protocol]
    const onLoopback = ['-m', p, '-p', p, '-d', '127.0.0.0/8', '--dport', String(nodePort)]
    rules.unshift(ruleText(...commentWords(name), ...onLoopback, ...localhostCounter, ...jump))
  }
  return [{ key: portKey(protocol, nodePort), rules }]
}

const ownChains = (state: ServiceState, scope: Scope, context: LayoutContext): readonly OwnChain[] => {
  const chains: OwnChain[] = []
  if (scope.external) chains.push(externalChain(state, scope, context))
  if (scope.guarded) chains.push(firewallChain(state))
  const masquerade = scope.internal ? internalMasquerade(state, context) : undefined
  const known = new Map<string, Server>()
  const policyChain = (policy: 'Cluster' | 'Local', targets: readonly Target[]): void => {
    if (targets.length === 0) return
    const first = state.internalPolicy === policy ? masquerade : undefined
    const servers = targets.map((target) => serverOf(state, target, known))
    const rules = policyRules(state, targets, servers, context)
    chains.push({
      name: serviceChain(policy === 'Local' ? 'SVL' : 'SVC', state),
      rules: first === undefined ? rules : [first, ...rules],
    })
  }
  policyChain('Cluster', scope.cluster)
  policyChain('Local', scope.local)
  for (const server of known.values()) chains.push(serverChain(state, server, context))
  return chains
}

/** An endpoint with its chain. */
interface Server {
  readonly target: Target
  readonly address: string
  readonly chain: string
}

const serverOf = (state: ServiceState, target: Target, known: Map<string, Server>): Server => {
  const address = addressText(target)
  const found = known.get(address)
  if (found !== undefined) return found
  const server = { target, address, chain: endpointChain(state, target) }
  known.set(address, server)
  return server
}

/** Marks what comes from outside the cluster; external traffic, which may be in the same chain, has another destination. */
const internalMasquerade = (state: ServiceState, { host }: LayoutContext): RuleText | undefined => {
  const who = host.masqueradeAll ? [] : podWords(host.detector, '!')
  if (who === undefined || state.clusterIP === undefined) return undefined
  const to = serverWords(state, state.clusterIP)
  return ruleText(...commentWords(`${state.name} cluster IP`), ...to, ...who, ...markMasquerade)
}

const policyRules = (
  state: ServiceState,
  targets: readonly Target[],
  servers: readonly Server[],
  { large }: LayoutContext,
): readonly RuleText[] => {
  const { name, affinitySeconds } = state
  const comments = servers.map(({ address }): Words => (large ? [] : commentWords(`${name} -> ${address}`)))
  const picks = pickWords(state.scheduling.scheduler, targets)
  const rules: RuleText[] = []
  if (affinitySeconds !== undefined) {
    const seconds = String(affinitySeconds)
    servers.forEach(({ chain }, i) => {
      const known = ['-m', 'recent', '--name', chain, '--rcheck', '--seconds', seconds, '--reap']
      rules.push(ruleText(...(comments[i] ?? []), ...known, '-j', chain))
    })
  }
  servers.forEach(({ chain }, i) => {
    rules.push(ruleText(...(comments[i] ?? []), ...(picks[i] ?? []), '-j', chain))
  })
  return rules
}

const serverChain = (state: ServiceState, { target, address, chain }: Server, { large }: LayoutContext): OwnChain => {
  const comment = large ? [] : commentWords(state.name)
  const remember = state.affinitySeconds === undefined ? [] : ['-m', 'recent', '--name', chain, '--set']
  const p = protocolWord[state.protocol]
  return {
    name: chain,
    rules: [
      ruleText(...comment, '-s', target.ip, ...markMasquerade),
      ruleText(...comment, ...remember, '-m', p, '-p', p, '-j', 'DNAT', '--to-destination', address),
    ],
  }
}

/** What matches no source falls through, is not translated, and meets the drop in KUBE-PROXY-FIREWALL. */
const firewallChain = (state: ServiceState): OwnChain => {
  const { name, sourceRanges = [], loadBalancerIPs } = state
  const jump = ['-j', serviceChain('EXT', state)]
  const sources = [...sourceRanges, ...(state.nodeInSourceRanges ? loadBalancerIPs : [])]
  const rules = sources.map((source) => ruleText(...commentWords(`${name} loadbalancer IP`), '-s', source, ...jump))
  rules.push(ruleText(...commentWords(`other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL`)))
  return { name: serviceChain('FW', state), rules }
}
