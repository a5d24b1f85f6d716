import { isDeepStrictEqual } from 'node:util'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { ServiceChange } from '../backend.ts'
import { ElementDelta } from '../rules/element-delta.ts'
import { TableWriter } from '../rules/table-writer.ts'
import { entryChains, planEntries, type Root, spreadRules } from './dispatch.ts'
import { fixedLayout } from './fixed.ts'
import { type LayoutContext, layoutService } from './layout.ts'
import { endpointCount, layoutContext } from './layout-context.ts'
import type { ServiceLayout } from './layout-types.ts'
import type { Belief, IptablesPlan } from './plan.ts'
import { planFixed } from './plan-fixed.ts'
import { fixedChain, summarize } from './plan-summary.ts'
import { ServiceDelta } from './service-delta.ts'
import type { IptablesSettings } from './settings.ts'

/** From what was last applied to what is wanted now; the cost follows the change, but for changes that concern every rule. */
export const planDelta = (
  host: HostState,
  services: ReadonlyMap<ServicePortId, ServiceChange>,
  belief: Belief,
  settings: IptablesSettings,
): IptablesPlan => {
  let endpoints = belief.endpoints
  for (const { before, after } of services.values()) endpoints += count(after) - count(before)
  const old = layoutContext(belief.host, settings, belief.endpoints)
  const context = layoutContext(host, settings, endpoints)
  const hostChanged = belief.host !== host && !isDeepStrictEqual(belief.host, host)
  const everyRule = hostChanged || old.large !== context.large

  const filter = new TableWriter('filter')
  const nat = new TableWriter('nat')
  const delta = new ServiceDelta(filter, nat)
  for (const { before, after } of services.values()) {
    delta.change(layoutOf(before, old), layoutOf(after, context), (after ?? before)?.service)
  }
  if (everyRule) {
    for (const [id, state] of belief.states)
      if (!services.has(id)) delta.change(layoutService(state, old), layoutService(state, context), state.service)
  }

  const fixed = hostChanged ? fixedLayout(host, settings) : belief.fixed
  const roots = entryChains(settings)
  const fixedRules = planFixed(belief.fixed, fixed, new Set(Object.values(roots)), { filter, nat })
  const root = (name: string): Root => ({ before: fixedChain(belief.fixed, name), after: fixedChain(fixed, name) })
  const dispatch = {
    services: planEntries(belief.dispatch.services, root(roots.services), delta.services, nat),
    nodePorts: planEntries(belief.dispatch.nodePorts, root(roots.nodePorts), delta.nodePorts, nat),
  }
  const elements = new ElementDelta(belief.elements)
  for (const element of delta.elementsRemoved) elements.count(element, -1)
  for (const element of delta.elementsAdded) elements.count(element, 1)

  const entryRules =
    spreadRules(dispatch.services) -
    spreadRules(belief.dispatch.services) +
    spreadRules(dispatch.nodePorts) -
    spreadRules(belief.dispatch.nodePorts)
  const rules = {
    mangle: belief.rules.mangle,
    filter: belief.rules.filter + delta.filterRules + fixedRules.filter,
    nat: belief.rules.nat + delta.chainRules + entryRules + fixedRules.nat,
  }
  const states = new Map([...services].map(([id, { after }]) => [id, after]))
  const sets = elements.changes()
  return {
    ...summarize([filter, nat], sets, hostChanged),
    sets,
    outcome: { kind: 'absorb', delta: { host, fixed, states, endpoints, dispatch, elements: elements.uses, rules } },
  }
}

const count = (state: ServiceState | undefined): number => (state === undefined ? 0 : endpointCount(state))

const nothing: ServiceLayout = { services: [], nodePorts: [], filter: [], chains: [], elements: [] }

const layoutOf = (state: ServiceState | undefined, context: LayoutContext): ServiceLayout =>
  state === undefined ? nothing : layoutService(state, context)
