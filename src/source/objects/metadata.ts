import type { ObjectRef } from '../../model/problem.ts'
import { type Fields, fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'
import { intern, isDnsName } from './strings.ts'
import { parseTime } from './time.ts'

type MetadataField =
  | 'name'
  | 'generateName'
  | 'namespace'
  | 'uid'
  | 'creationTimestamp'
  | 'deletionTimestamp'
  | 'labels'
  | 'annotations'

export interface Metadata {
  readonly name: string
  /** '' for an object without namespaces, e.g. a Node. */
  readonly namespace: string
  readonly raw: Fields<MetadataField>
}

const metadataOf = (json: unknown): Fields<MetadataField> | undefined =>
  fields<MetadataField>(fields<'metadata'>(json)?.metadata)

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** The object's name for messages: the best that a broken object still offers. */
export const refOf = (kind: string, json: unknown, namespaced: boolean): ObjectRef => {
  const raw = metadataOf(json)
  const generated = text(raw?.generateName)
  const name = text(raw?.name) ?? (generated === undefined ? undefined : `${generated}*`) ?? text(raw?.uid)
  return { kind, namespace: namespaced ? (text(raw?.namespace) ?? 'default') : undefined, name: name ?? '(unnamed)' }
}

/** Undefined when the object cannot be told from others; reported then. */
export const readMetadata = (root: Place, json: unknown, namespaced: boolean): Metadata | undefined => {
  const raw = metadataOf(json)
  if (raw === undefined) {
    const what = fields(json) === undefined ? `${quote(json)} is not an object` : 'is missing'
    root.problem('metadata', `${what}, so the ${root.object.kind} is skipped`)
    return undefined
  }
  const name = readName(root, 'name', raw.name)
  const namespace = namespaced ? readName(root, 'namespace', isUnset(raw.namespace) ? 'default' : raw.namespace) : ''
  return name === undefined || namespace === undefined ? undefined : { name, namespace: intern(namespace), raw }
}

const readName = (root: Place, field: string, value: unknown): string | undefined => {
  if (typeof value === 'string' && isDnsName(value)) return value
  const what = isUnset(value) ? 'is missing' : `${quote(value)} is not a DNS name`
  root.problem(`metadata.${field}`, `${what}, so the ${root.object.kind} is skipped`)
  return undefined
}

export const readLabels = <Label extends string>(root: Place, metadata: Metadata): Fields<Label> | undefined =>
  root.map<Label>('metadata.labels', metadata.raw.labels)

export const readAnnotations = <Name extends string>(root: Place, metadata: Metadata): Fields<Name> | undefined =>
  root.map<Name>('metadata.annotations', metadata.raw.annotations)

/** The time in a field of the metadata, in milliseconds since the epoch; undefined when not set, or not a time. */
export const readTime = (place: Place, field: string, value: unknown): number | undefined => {
  const written = place.text(field, value)
  if (written === undefined) return undefined
  const time = parseTime(written)
  if (time === undefined) place.problem(field, `${quote(written)} is not an RFC 3339 time, so it counts as not set`)
  return time
}
