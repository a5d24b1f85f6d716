import type { Belief, BeliefDelta } from './plan.ts'

/** Call only when the kernel has accepted what the delta stands for. Maps are changed in place: they are large. */
export const absorb = ({ states, elements }: Belief, delta: BeliefDelta): Belief => {
  for (const [id, state] of delta.states) {
    if (state === undefined) states.delete(id)
    else states.set(id, state)
  }
  for (const [key, use] of delta.elements) {
    if (use.uses > 0) elements.set(key, use)
    else elements.delete(key)
  }
  const { host, fixed, endpoints, dispatch, rules } = delta
  return { host, fixed, states, endpoints, dispatch, elements, rules }
}
