import {
  nothingRequested,
  type RequestedScheduling,
  type Scheduler,
  type SchedulerFlag,
  schedulerFlags,
  schedulers,
} from '../../model/scheduling.ts'
import { parseAddress } from './address.ts'
import { type Fields, fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'

const schedulerName = 'weir.dev/scheduler'
const flagsName = 'weir.dev/scheduler-flags'
const weightsName = 'weir.dev/weights'
/** kube-router's name for the scheduler, read when ours is absent. */
const aliasName = 'kube-router.io/service.scheduler'

export type SchedulingAnnotation = typeof schedulerName | typeof flagsName | typeof weightsName | typeof aliasName

const maxWeight = 65_535

/** What the annotations ask for. What is not understood is reported and the default is used: traffic never stops for it. */
export const readScheduling = (
  root: Place,
  annotations: Fields<SchedulingAnnotation> | undefined,
): RequestedScheduling => {
  if (annotations === undefined) return nothingRequested
  const own = annotations[schedulerName]
  const name = isUnset(own) ? aliasName : schedulerName
  const scheduler = readScheduler(root.at(`metadata.annotations[${name}]`), annotations[name])
  const flags = readFlags(root.at(`metadata.annotations[${flagsName}]`), annotations[flagsName], scheduler)
  const weights = readWeights(root.at(`metadata.annotations[${weightsName}]`), annotations[weightsName])
  const nothing = scheduler === undefined && flags.length === 0 && weights === undefined
  return nothing ? nothingRequested : { scheduler, flags, weights }
}

const readScheduler = (place: Place, value: unknown): Scheduler | undefined => {
  if (isUnset(value)) return undefined
  const wanted = typeof value === 'string' ? value.trim() : value
  const scheduler = schedulers.find((known) => known === wanted)
  if (scheduler !== undefined) return scheduler
  place.problem('', `${quote(value)} is not a scheduler, so the default is used`)
  return undefined
}

const readFlags = (place: Place, value: unknown, scheduler: Scheduler | undefined): readonly SchedulerFlag[] => {
  const written = place.text('', value)
  if (written === undefined) return nothingRequested.flags
  const wanted = new Set<SchedulerFlag>()
  for (const part of written.split(',')) {
    const word = part.trim()
    const flag = schedulerFlags.find((known) => known === word)
    if (scheduler !== undefined && flag?.startsWith(`${scheduler}-`)) wanted.add(flag)
    else if (flag !== undefined)
      place.problem(
        '',
        `${quote(word)} is not a flag of ${scheduler === undefined ? 'the default scheduler' : `the scheduler ${scheduler}`}, so it is left out`,
      )
    else if (word !== '')
      place.problem('', `${quote(word)} is not one of ${schedulerFlags.join(', ')}, so it is left out`)
  }
  return wanted.size === 0 ? nothingRequested.flags : schedulerFlags.filter((flag) => wanted.has(flag))
}

const readWeights = (place: Place, value: unknown): ReadonlyMap<string, number> | undefined => {
  const written = place.text('', value)
  if (written === undefined) return undefined
  const object = fields(parseJson(written))
  if (object === undefined) {
    place.problem('', `${quote(written)} is not a JSON object such as {"10.0.0.1": 2}, so every weight is 1`)
    return undefined
  }
  const weights = new Map<string, number>()
  for (const [name, weight] of Object.entries<unknown>(object)) {
    if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > maxWeight)
      place.problem(
        '',
        `the weight ${quote(weight)} of ${quote(name)} is not a whole number from 0 to ${maxWeight}, so it is left out`,
      )
    else weights.set(parseAddress(name) ?? name, weight)
  }
  return weights.size === 0 ? undefined : weights
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
