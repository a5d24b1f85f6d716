import type { ApiObject } from './api-object.ts'

interface Entry {
  readonly version: string
  /** A value was handed over, and not taken back since. */
  readonly handed: boolean
  /** The last list that held the object. */
  list: number
}

/** What a reflector remembers of each object: enough to tell a new version, and what vanished, and no more. */
export class KnownObjects {
  readonly #entries = new Map<string, Entry>()
  #list = 0

  get size(): number {
    return this.#entries.size
  }

  /** From here on, {@link isKnown} and {@link set} tell which objects the list holds. */
  beginList(): void {
    this.#list++
  }

  /** This very version has been dealt with. */
  isKnown(object: ApiObject): boolean {
    const entry = this.#entries.get(keyOf(object))
    if (entry?.version !== versionOf(object)) return false
    entry.list = this.#list
    return true
  }

  /** A value has been handed over for an earlier version. */
  wasHanded(object: ApiObject): boolean {
    return this.#entries.get(keyOf(object))?.handed ?? false
  }

  set(object: ApiObject, handed: boolean): void {
    this.#entries.set(keyOf(object), { version: versionOf(object), handed, list: this.#list })
  }

  /** Forgets an object; true when a value had been handed over. */
  delete(object: ObjectName): boolean {
    const key = keyOf(object)
    const handed = this.#entries.get(key)?.handed ?? false
    this.#entries.delete(key)
    return handed
  }

  /** What the list since {@link beginList} did not hold. */
  *unlisted(): Generator<ObjectName> {
    for (const [key, { list }] of this.#entries) if (list !== this.#list) yield nameOf(key)
  }
}

/** Cluster-scoped objects have no namespace. */
export interface ObjectName {
  readonly namespace: string | undefined
  readonly name: string
}

const keyOf = ({ namespace, name }: ObjectName): string => (namespace === undefined ? name : `${namespace}/${name}`)

const nameOf = (key: string): ObjectName => {
  const slash = key.indexOf('/')
  return slash < 0
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The uid too: after a restore of etcd, resourceVersions are given out a second time. */
const versionOf = ({ uid, resourceVersion }: ApiObject): string => `${uid} ${resourceVersion}`
