import type { ModelChange } from '../../model/change.ts'
import { type ObjectRef, objectName, type Problem } from '../../model/problem.ts'
import { parseEndpointSlice } from './endpoint-slice.ts'
import { fields, isUnset, quote } from './fields.ts'
import { refOf } from './metadata.ts'
import { parseNode, parseServiceCidr } from './node.ts'
import type { Parsed } from './parsed.ts'
import { parseService, type ServiceOptions } from './service.ts'

export type ObjectOptions = ServiceOptions

/** One object of a manifest. */
export interface ManifestObject {
  readonly ref: ObjectRef
  /**
   * The same for two objects exactly when an API server would take one for a new version of the other; undefined for
   * what is broken, or nothing that a proxy reads.
   */
  readonly id: string | undefined
  /** Undefined when a proxy has no use for the object. */
  readonly change: ModelChange | undefined
  readonly problems: readonly Problem[]
}

type Reader = (json: unknown, options: ObjectOptions) => Parsed<ModelChange>

const convert = <T>({ value, problems }: Parsed<T>, toChange: (value: T) => ModelChange): Parsed<ModelChange> => ({
  value: value === undefined ? undefined : toChange(value),
  problems,
})

const readServiceCidr: Reader = (json) =>
  convert(parseServiceCidr(json), (value) => ({ kind: 'serviceCidr', name: value.name, value }))

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [
    'v1/Service',
    (json, options) => convert(parseService(json, options), (value) => ({ kind: 'service', key: value.key, value })),
  ],
  [
    'discovery.k8s.io/v1/EndpointSlice',
    (json) =>
      convert(parseEndpointSlice(json, { namelessPorts: 'accept' }), (value) => ({
        kind: 'slice',
        key: value.key,
        value,
      })),
  ],
  ['v1/Node', (json) => convert(parseNode(json), (value) => ({ kind: 'node', value }))],
  ['networking.k8s.io/v1/ServiceCIDR', readServiceCidr],
  ['networking.k8s.io/v1beta1/ServiceCIDR', readServiceCidr],
])

const maxListDepth = 8

interface TypeMeta {
  readonly apiVersion: unknown
  readonly kind: unknown
}

const noType: TypeMeta = { apiVersion: undefined, kind: undefined }

/** The objects in a document of unknown content: one object, a `List`, or a typed list whose items may lack their kind. */
export const readObjects = (json: unknown, options: ObjectOptions): readonly ManifestObject[] => {
  const objects: ManifestObject[] = []
  const walk = (item: unknown, inherited: TypeMeta, depth: number): void => {
    const object = fields<'apiVersion' | 'kind' | 'items'>(item)
    const kind = object?.kind ?? inherited.kind
    const apiVersion = object?.apiVersion ?? inherited.apiVersion
    if (isForOtherCommands(apiVersion)) return
    if (!isList(kind, object?.items)) objects.push(readObject(item, { apiVersion, kind }, options))
    else if (isUnset(object?.items)) return
    else if (!Array.isArray(object.items))
      objects.push(rejected(item, kind, 'items', `${quote(object.items)} is not a list, so it counts as empty`))
    else if (depth >= maxListDepth)
      objects.push(rejected(item, kind, 'items', `lies within ${depth} other lists, so it counts as empty`))
    else {
      const itemType = kind === 'List' ? noType : { apiVersion, kind: kind.slice(0, -'List'.length) }
      for (const child of object.items) walk(child, itemType, depth + 1)
    }
  }
  walk(json, noType, 0)
  return objects
}

/** Documents of our own that are no objects of a cluster, as the scenarios of `weir simulate`. */
const isForOtherCommands = (apiVersion: unknown): boolean =>
  typeof apiVersion === 'string' && apiVersion.startsWith('weir.dev/')

/** A kind of somebody's own may end in List too; only a list has items. */
const isList = (kind: unknown, items: unknown): kind is string =>
  kind === 'List' || (typeof kind === 'string' && kind.endsWith('List') && items !== undefined)

const namespaced = (kind: string): boolean => kind !== 'Node' && kind !== 'ServiceCIDR'

const readObject = (json: unknown, { apiVersion, kind }: TypeMeta, options: ObjectOptions): ManifestObject => {
  if (fields(json) === undefined)
    return rejected(json, 'Object', 'kind', `${quote(json)} is not an object, so it is skipped`)
  if (typeof kind !== 'string' || kind === '') {
    const what = isUnset(kind) ? 'is missing' : `${quote(kind)} is not a kind`
    return rejected(json, 'Object', 'kind', `${what}, so the object is skipped`)
  }
  const read = typeof apiVersion === 'string' ? readers.get(`${apiVersion}/${kind}`) : undefined
  if (read !== undefined) {
    const ref = refOf(kind, json, namespaced(kind))
    const { value, problems } = read(json, options)
    const isBroken = value === undefined && problems.length > 0
    return { ref, id: isBroken ? undefined : objectName(ref), change: value, problems }
  }
  const isKnown = [...readers.keys()].some((type) => type.endsWith(`/${kind}`))
  if (!isKnown)
    return rejected(json, kind, 'kind', `${quote(kind)} is nothing that a service proxy reads, so it is skipped`)
  const what = isUnset(apiVersion) ? 'is missing' : `${quote(apiVersion)} of ${kind} is not known`
  return rejected(json, kind, 'apiVersion', `${what}, so the ${kind} is skipped`)
}

const rejected = (json: unknown, kind: string, field: string, reason: string): ManifestObject => {
  const ref = refOf(kind, json, hasNamespace(json))
  return { ref, id: undefined, change: undefined, problems: [{ object: ref, field, reason }] }
}

/** Whether a kind that we do not know lives in a namespace is not ours to know: we say what the manifest says. */
const hasNamespace = (json: unknown): boolean =>
  !isUnset(fields<'namespace'>(fields<'metadata'>(json)?.metadata)?.namespace)
