import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import type { Belief, BeliefDelta, IpvsPlan } from './plan.ts'

/** Service ports that a plan for changes brings, with their Services. */
export const newcomersOf = (
  { outcome }: Pick<IpvsPlan, 'outcome'>,
  belief: Belief | undefined,
): ReadonlyMap<ServicePortId, ServiceKey> => {
  const newcomers = new Map<ServicePortId, ServiceKey>()
  if (outcome.kind === 'replace') return newcomers
  for (const [id, laid] of outcome.delta.services)
    if (laid !== undefined && belief?.services.has(id) !== true) newcomers.set(id, laid.state.service)
  return newcomers
}

/** Call only when the kernel has accepted what the delta stands for. Maps are changed in place: they are large. */
export const absorb = ({ services, claims, addresses, elements, marks }: Belief, delta: BeliefDelta): Belief => {
  for (const [id, laid] of delta.services) {
    if (laid === undefined) services.delete(id)
    else services.set(id, laid)
  }
  for (const [name, list] of delta.claims) {
    if (list.length === 0) claims.delete(name)
    else claims.set(name, list)
  }
  for (const [ip, uses] of delta.addresses) {
    if (uses > 0) addresses.set(ip, uses)
    else addresses.delete(ip)
  }
  for (const [key, use] of delta.elements) {
    if (use.uses > 0) elements.set(key, use)
    else elements.delete(key)
  }
  for (const mark of delta.marks.freed) marks.delete(mark)
  for (const mark of delta.marks.taken) marks.add(mark)
  const { host, fixed, rules } = delta
  return { host, fixed, services, claims, addresses, elements, marks, rules }
}
