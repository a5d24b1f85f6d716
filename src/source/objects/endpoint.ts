import type { Endpoint } from '../../model/endpoint-slice.ts'
import type { Family } from '../../model/ip.ts'
import { fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'
import { intern, listOf } from './strings.ts'

type EndpointField = 'addresses' | 'conditions' | 'nodeName' | 'zone' | 'targetRef' | 'hints'

/** One endpoint of a slice; undefined, and reported, when it has no usable address. Only the first address counts. */
export const readEndpoint = (place: Place, json: unknown, family: Family): Endpoint | undefined => {
  const raw = fields<EndpointField>(json)
  if (raw === undefined) {
    place.problem('', `${quote(json)} is not an object, so the endpoint is skipped`)
    return undefined
  }
  const address: unknown = place.list('addresses', raw.addresses)[0]
  if (address === undefined) {
    place.problem('addresses', 'has no address, so the endpoint is skipped')
    return undefined
  }
  const ip = place.address('addresses[0]', address, family)
  if (ip === undefined) return undefined
  const conditions = place.map<'ready' | 'serving' | 'terminating'>('conditions', raw.conditions)
  const hints = place.map<'forZones' | 'forNodes'>('hints', raw.hints)
  return {
    ip,
    ready: place.flag('conditions.ready', conditions?.ready, true),
    serving: place.flag('conditions.serving', conditions?.serving, true),
    terminating: place.flag('conditions.terminating', conditions?.terminating, false),
    nodeName: readName(place, 'nodeName', raw.nodeName),
    zone: readName(place, 'zone', raw.zone),
    podName: readPodName(place, raw.targetRef),
    zoneHints: readHints(place, 'forZones', hints?.forZones),
    nodeHints: readHints(place, 'forNodes', hints?.forNodes),
  }
}

const readName = (place: Place, field: string, value: unknown): string | undefined => {
  const name = place.text(field, value)
  return name === undefined || name === '' ? undefined : intern(name)
}

const readPodName = (place: Place, value: unknown): string | undefined => {
  const target = place.map<'kind' | 'name'>('targetRef', value)
  return target?.kind === 'Pod' ? place.text('targetRef.name', target.name) : undefined
}

/** Undefined when there is no hint: an empty list says nothing. */
const readHints = (place: Place, field: string, value: unknown): readonly string[] | undefined => {
  if (isUnset(value)) return undefined
  const list = place.list(`hints.${field}`, value)
  const names: string[] = []
  for (let i = 0; i < list.length; i++) {
    const name = fields<'name'>(list[i])?.name
    if (typeof name === 'string' && name !== '') {
      if (list.length === 1) return listOf(name)
      names.push(intern(name))
    } else place.problem(`hints.${field}[${i}].name`, `${quote(name)} is not a name, so the hint is left out`)
  }
  return names.length === 0 ? undefined : names
}
