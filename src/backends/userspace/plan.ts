import { isDeepStrictEqual } from 'node:util'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { Change, PlanSummary } from '../backend.ts'
import { serversOf } from './entrances.ts'
import { ownListeners } from './listen/listeners.ts'
import { type LoopbackPorts, nodePortSlots } from './listen/loopback-ports.ts'
import { elementId, elementsOf, type RedirectElement } from './redirect/elements.ts'
import { redirectListeners } from './redirect/listeners.ts'
import type { ServiceLayout } from './service-layout.ts'

/** What was applied last. */
export interface Belief {
  readonly host: HostState
  readonly services: ReadonlyMap<ServicePortId, ServiceLayout>
}

export interface UserspacePlan {
  readonly summary: PlanSummary
  readonly host: HostState
  /** Everything is laid out anew, and what is not in `services` goes; otherwise `services` are what changes. */
  readonly replace: boolean
  /** undefined: gone. */
  readonly services: ReadonlyMap<ServicePortId, ServiceLayout | undefined>
}

/** The sockets of a service port, with the ports that they should have. */
export type LayOutListeners = (
  states: readonly ServiceState[],
  host: HostState,
) => (state: ServiceState) => Pick<ServiceLayout, 'listeners' | 'elements'>

/** `portOf`: the port of a listener as it is, or as the table of an earlier process had it. */
export const redirecting =
  (portOf: (listener: string, elements: readonly RedirectElement[]) => number): LayOutListeners =>
  (_states, host) =>
  (state) => {
    const elements = elementsOf(state, host)
    return { elements, listeners: redirectListeners(state, host, (listener) => portOf(listener, elements)) }
  }

/** `present`: all service ports, those to come included. */
export const listening =
  (ports: LoopbackPorts, present: () => Iterable<ServiceState>): LayOutListeners =>
  (states, host) => {
    const tcpAndUdp = states.filter(({ protocol, clusterIP }) => protocol !== 'SCTP' && clusterIP !== undefined)
    const taken = nodePortSlots([...present(), ...states])
    const sorted = tcpAndUdp.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const planned = ports.plan(sorted, taken)
    return (state) => ({ elements: [], listeners: ownListeners(state, host, planned.get(state.id)) })
  }

/** @throws RangeError for a delta before any full change */
export const planChange = (change: Change, belief: Belief | undefined, layOut: LayOutListeners): UserspacePlan => {
  if (change.kind === 'full') return replace(change.host, [...change.services], belief, layOut)
  if (belief === undefined) throw new RangeError('a delta was planned before any full change')
  if (isDeepStrictEqual(change.host, belief.host)) return delta(change, belief, layOut)
  const states = new Map([...belief.services].map(([id, { state }]) => [id, state]))
  for (const [id, { after }] of change.services) {
    if (after === undefined) states.delete(id)
    else states.set(id, after)
  }
  return replace(change.host, [...states.values()], belief, layOut)
}

const replace = (
  host: HostState,
  states: readonly ServiceState[],
  belief: Belief | undefined,
  layOut: LayOutListeners,
): UserspacePlan => {
  const of = layOut(states, host)
  const services = new Map<ServicePortId, ServiceLayout>()
  for (const state of states) services.set(state.id, layoutOf(state, of))
  let added = 0
  let removed = 0
  for (const [id, layout] of services) {
    const difference = compare(belief?.services.get(id), layout)
    added += difference.added
    removed += difference.removed
  }
  for (const [id, layout] of belief?.services ?? [])
    if (!services.has(id)) removed += compare(layout, undefined).removed
  return { summary: { empty: false, added, removed, structure: true }, host, replace: true, services }
}

const delta = (
  { host, services: changes }: Extract<Change, { kind: 'delta' }>,
  belief: Belief,
  layOut: LayOutListeners,
): UserspacePlan => {
  const after = [...changes.values()].flatMap((change) => change.after ?? [])
  const of = layOut(after, host)
  const services = new Map<ServicePortId, ServiceLayout | undefined>()
  let added = 0
  let removed = 0
  for (const [id, change] of changes) {
    const before = belief.services.get(id)
    const layout = change.after === undefined ? undefined : layoutOf(change.after, of)
    if (isDeepStrictEqual(before?.state, layout?.state)) continue
    const difference = compare(before, layout)
    added += difference.added
    removed += difference.removed
    services.set(id, layout)
  }
  const summary = { empty: services.size === 0, added, removed, structure: false }
  return { summary, host, replace: false, services }
}

const layoutOf = (state: ServiceState, of: ReturnType<LayOutListeners>): ServiceLayout => ({
  state,
  servers: serversOf(state),
  ...of(state),
})

/** Counts what a service port consists of: elements of the table, or sockets where there is none; and its endpoints. */
const compare = (
  before: ServiceLayout | undefined,
  after: ServiceLayout | undefined,
): { readonly added: number; readonly removed: number } => {
  const old = partsOf(before)
  const fresh = partsOf(after)
  let added = 0
  for (const part of fresh) if (!old.delete(part)) added++
  return { added, removed: old.size }
}

const partsOf = (layout: ServiceLayout | undefined): Set<string> => {
  const parts = new Set<string>()
  if (layout === undefined) return parts
  for (const element of layout.elements) parts.add(`${elementId(element)} ${JSON.stringify(element.value)}`)
  for (const { spec } of layout.listeners) parts.add(`listener ${spec.id} ${spec.address} ${spec.port}`)
  for (const { id, targets } of layout.servers)
    for (const { ip, port, weight } of targets) parts.add(`${id} ${ip} ${port} ${weight}`)
  return parts
}
