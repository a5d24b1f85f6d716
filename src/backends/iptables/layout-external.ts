import { type RuleText, ruleText } from '../../kernel/iptables/rule-text.ts'
import type { ServiceState } from '../../model/desired.ts'
import { markMasquerade } from '../rules/fixed-rules.ts'
import { commentWords, podWords } from '../rules/rule-words.ts'
import type { LayoutContext, Scope } from './layout-scope.ts'
import type { OwnChain } from './layout-types.ts'
import { serviceChain } from './names.ts'

/**
 * KUBE-EXT-: what is special about traffic from outside. Under policy Cluster all of it is masqueraded. Under policy Local
 * pods and the node itself may use any endpoint, as if they had used the cluster IP; the rest goes to the local ones.
 */
export const externalChain = (state: ServiceState, scope: Scope, { host }: LayoutContext): OwnChain => {
  const { name } = state
  const rules: RuleText[] = []
  const cluster = serviceChain('SVC', state)
  const local = state.externalPolicy === 'Local'
  const addRule = (comment: string, ...words: readonly string[]): void => {
    rules.push(ruleText(...commentWords(`${comment} ${name} external destinations`), ...words))
  }
  if (local) {
    const pods = podWords(host.detector)
    if (pods !== undefined) addRule('pod traffic for', ...pods, '-j', cluster)
    addRule('masquerade LOCAL traffic for', '-m', 'addrtype', '--src-type', 'LOCAL', ...markMasquerade)
    addRule('route LOCAL traffic for', '-m', 'addrtype', '--src-type', 'LOCAL', '-j', cluster)
  } else addRule('masquerade traffic for', ...markMasquerade)
  if (scope.externalRefusal === undefined) rules.push(ruleText('-j', local ? serviceChain('SVL', state) : cluster))
  return { name: serviceChain('EXT', state), rules }
}
