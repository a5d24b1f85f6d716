import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceState, Target } from '../../model/desired.ts'
import type { IP } from '../../model/ip.ts'
import { protocolWord } from '../../model/protocol.ts'
import { markMasquerade } from '../rules/fixed-rules.ts'
import { commentWords, type Words } from '../rules/rule-words.ts'
import { setElements } from './layout-elements.ts'
import { externalChain } from './layout-external.ts'
import { pickWords } from './layout-picks.ts'
import { nodePortRefusal, refusalRules } from './layout-refusals.ts'
import { internalChain, type LayoutContext, type Scope, scopeOf } from './layout-scope.ts'
import type { Entry, FilterRule, OwnChain, ServiceLayout } from './layout-types.ts'
import {
  countsLocalhost,
  localhostCounter,
  portKey,
  portWords,
  serverKey,
  serverWords,
  setWords,
} from './layout-words.ts'
import { addressText, endpointChain, serviceChain } from './names.ts'

/**
 * The same behaviour with fewer rules: sets decide who is masqueraded, refused and let in, and endpoints are rules of
 * KUBE-SVC- and KUBE-SVL- instead of chains. bitmap:port knows no SCTP, so SCTP NodePorts stay as in the plain layout.
 */
export const layoutWithSets = (state: ServiceState, context: LayoutContext): ServiceLayout => {
  const scope = scopeOf(state)
  return {
    services: serviceEntries(state, scope),
    nodePorts: nodePortEntries(state, scope, context),
    filter: ownRefusals(state, scope),
    chains: ownChains(state, scope, context),
    elements: setElements(state, scope),
  }
}

const serviceEntries = (state: ServiceState, scope: Scope): readonly Entry[] => {
  const entries: Entry[] = []
  const add = (ip: IP, comment: string, ...tails: readonly Words[]): void => {
    const words = [...commentWords(`${state.name} ${comment}`), ...serverWords(state, ip)]
    entries.push({ key: serverKey(state, ip), rules: tails.map((tail) => ruleText(...words, ...tail)) })
  }
  if (scope.internal && state.clusterIP !== undefined) add(state.clusterIP, 'cluster IP', ['-j', internalChain(state)])
  if (scope.external) {
    // What the set EXTERNAL has marked needs no chain that marks it.
    const local = state.externalPolicy === 'Local'
    const jump = ['-j', serviceChain(local ? 'EXT' : 'SVC', state)]
    for (const ip of state.externalIPs) add(ip, 'external IP', jump)
    const allowed = scope.guarded ? setWords('LB-SOURCE', state.family, 'dst,dst,src') : []
    const marks = scope.guarded && !local ? [[...allowed, ...markMasquerade]] : []
    for (const ip of state.loadBalancerIPs) add(ip, 'loadbalancer IP', ...marks, [...allowed, ...jump])
  }
  return entries
}

/** A chain KUBE-EXT- is needed: what it does depends on the source, or no set can mark the packets. */
const needsExternalChain = (state: ServiceState, scope: Scope): boolean =>
  scope.external && (state.externalPolicy === 'Local' || (state.protocol === 'SCTP' && state.nodePort !== undefined))

const nodePortEntries = (state: ServiceState, scope: Scope, { settings }: LayoutContext): readonly Entry[] => {
  const { name, protocol, nodePort } = state
  if (nodePort === undefined || !scope.external) return []
  const jump = ['-j', serviceChain(needsExternalChain(state, scope) ? 'EXT' : 'SVC', state)]
  const words = [...commentWords(name), ...portWords(protocol, nodePort)]
  const rules = [ruleText(...words, ...jump)]
  if (protocol === 'SCTP' && countsLocalhost(settings)) {
    rules.unshift(ruleText(...words, '-d', '127.0.0.0/8', ...localhostCounter, ...jump))
  }
  return [{ key: portKey(protocol, nodePort), rules }]
}

/** What no set can carry. */
const ownRefusals = (state: ServiceState, { internalRefusal, externalRefusal }: Scope): readonly FilterRule[] => {
  const { nodePort, protocol } = state
  if (protocol === 'SCTP' && nodePort !== undefined && externalRefusal !== undefined)
    return [nodePortRefusal(state, nodePort, externalRefusal)]
  return refusalRules(state, {
    internalRefusal: internalRefusal === 'RESET' ? internalRefusal : undefined,
    externalRefusal: externalRefusal === 'RESET' ? externalRefusal : undefined,
  })
}

const ownChains = (state: ServiceState, scope: Scope, context: LayoutContext): readonly OwnChain[] => {
  const chains: OwnChain[] = []
  if (needsExternalChain(state, scope)) chains.push(externalChain(state, scope, context))
  const policyChain = (kind: 'SVC' | 'SVL', targets: readonly Target[]): void => {
    if (targets.length > 0)
      chains.push({ name: serviceChain(kind, state), rules: targetRules(state, targets, context) })
  }
  policyChain('SVC', scope.cluster)
  policyChain('SVL', scope.local)
  return chains
}

/**
 * A client that is remembered goes where it went before, and is remembered from now on (`--update`); any other one is
 * remembered where it goes. The match that picks stands before the one that remembers, or clients would be remembered
 * where they do not go.
 */
const targetRules = (
  state: ServiceState,
  targets: readonly Target[],
  { large }: LayoutContext,
): readonly RuleText[] => {
  const { name, affinitySeconds } = state
  const protocol = ['-p', protocolWord[state.protocol]]
  const picks = pickWords(state.scheduling.scheduler, targets)
  const known: RuleText[] = []
  const picked: RuleText[] = []
  targets.forEach((target, i) => {
    const address = addressText(target)
    const head = large ? protocol : [...commentWords(`${name} -> ${address}`), ...protocol]
    const translate = ['-j', 'DNAT', '--to-destination', address]
    let remember: Words = []
    if (affinitySeconds !== undefined) {
      const list = ['-m', 'recent', '--name', endpointChain(state, target)]
      known.push(ruleText(...head, ...list, '--update', '--seconds', String(affinitySeconds), '--reap', ...translate))
      remember = [...list, '--set']
    }
    picked.push(ruleText(...head, ...(picks[i] ?? []), ...remember, ...translate))
  })
  return [...known, ...picked]
}
