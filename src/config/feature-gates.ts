import type { Issue } from './config-error.ts'
import { knownFeatureGates } from './feature-gates-known.ts'

/** What was set, by gate name. */
export type FeatureGates = Readonly<Record<string, boolean>>

/** Unknown gates, and locked gates that are to be changed. */
export const featureGateIssues = (gates: FeatureGates): readonly Issue[] => {
  const issues: Issue[] = []
  for (const [name, value] of Object.entries(gates)) {
    const gate = knownFeatureGates.get(name)
    if (gate === undefined) {
      issues.push({ field: 'featureGates', reason: `Invalid value: "${name}": unrecognized feature gate: ${name}` })
    } else if (gate.locked && value !== gate.default) {
      const reason = `Invalid value: ${value}: cannot set feature gate ${name} to ${value}, feature is locked to ${gate.default}`
      issues.push({ field: 'featureGates', reason })
    }
  }
  return issues
}

/** Whether a known gate is on; a gate that was set beats AllAlpha. */
export const isEnabled = (gates: FeatureGates, name: string): boolean => {
  const set = gates[name]
  if (set !== undefined) return set
  const gate = knownFeatureGates.get(name)
  if (gate === undefined) return false
  const { AllAlpha = false } = gates
  return gate.default || (gate.alpha && AllAlpha)
}

/** The gates that weir reads; the rest concern other components, or endpoints that weir does not serve. */
const gatesInUse: ReadonlySet<string> = new Set(['AllowServiceExternalIPs', 'LoggingAlphaOptions'])

/** Gates that were moved away from their default without any effect here. */
export const gatesWithoutEffect = (gates: FeatureGates): readonly string[] =>
  Object.entries(gates)
    .filter(([name, value]) => !gatesInUse.has(name) && knownFeatureGates.get(name)?.default !== value)
    .map(([name]) => name)
    .sort()
