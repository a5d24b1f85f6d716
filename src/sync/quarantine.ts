import type { ServiceState } from '../model/desired.ts'
import type { Family } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Problem } from '../model/problem.ts'
import { failureOf, isRefusal, tagOf } from './error.ts'

export type States = ReadonlyMap<ServiceKey, readonly ServiceState[]>

/** How the states of some Services get into the kernel. Both throw when they are refused, and then nothing has changed. */
export interface Writer {
  /** These Services and no others. */
  full(states: States): Promise<void>
  /** These as well. */
  add(states: States): Promise<void>
}

/** After so many Services that the errors named, the guessing goes on in halves. */
const namedLimit = 8

/**
 * Writes all Services but those that are refused, and returns why they are. `refusal` is what a full write of all of
 * `states` has just met with; `changed` are those that were not written like this before, the likeliest culprits.
 *
 * Suspects are put aside until the rest is accepted: those that the errors name, then `changed`, then everyone. Each
 * half of the suspects that is accepted is in the kernel for good, so nobody waits for the search to end. Throws what
 * is nobody's fault: a refusal of the write without any Service.
 */
export const isolate = async (
  states: States,
  refusal: unknown,
  changed: readonly ServiceKey[],
  writer: Writer,
  signal: AbortSignal,
): Promise<ReadonlyMap<ServiceKey, unknown>> => {
  const suspects = await setAside(states, refusal, changed, writer, signal)
  const refused = new Map<ServiceKey, unknown>()
  const addHalves = async (keys: readonly ServiceKey[]): Promise<void> => {
    try {
      await writer.add(only(states, keys))
    } catch (error) {
      if (!isRefusal(error, signal)) throw error
      const [key] = keys
      if (keys.length === 1 && key !== undefined) {
        refused.set(key, error)
        return
      }
      const middle = keys.length >> 1
      await addHalves(keys.slice(0, middle))
      await addHalves(keys.slice(middle))
    }
  }
  await addHalves(suspects)
  return refused
}

const setAside = async (
  states: States,
  refusal: unknown,
  changed: readonly ServiceKey[],
  writer: Writer,
  signal: AbortSignal,
): Promise<readonly ServiceKey[]> => {
  const suspects = new Set<ServiceKey>()
  let error = refusal
  for (let round = 0; ; round++) {
    const before = suspects.size
    const named = round < namedLimit ? culpritOf(error, states) : undefined
    if (named !== undefined) suspects.add(named)
    if (suspects.size === before) for (const key of changed) suspects.add(key)
    if (suspects.size === before) for (const key of states.keys()) suspects.add(key)
    if (suspects.size === before) throw error
    try {
      await writer.full(new Map([...states].filter(([key]) => !suspects.has(key))))
      return [...suspects]
    } catch (next) {
      if (!isRefusal(next, signal)) throw next
      error = next
    }
  }
}

const culpritOf = (error: unknown, states: States): ServiceKey | undefined => {
  const tag = tagOf(error)
  for (const key of states.keys()) if (key === tag) return key
  return undefined
}

const only = (states: States, keys: readonly ServiceKey[]): States =>
  new Map(keys.map((key) => [key, states.get(key) ?? []]))

export const leftOut = (family: Family, key: ServiceKey, error: unknown): Problem => {
  const [namespace, name = key] = key.split('/')
  const { message } = failureOf(error)
  return {
    object: { kind: 'Service', namespace, name },
    field: 'spec',
    reason: `left out of the ${family} rules, because they were refused: ${message}`,
  }
}
