import { randomUUID } from 'node:crypto'
import { type Manifest, type ResourceName, resourceKinds, resourceNames, type StoredObject } from './resources.ts'

/** One write. `before` and `after` are the object around it; a deleted object's last state carries the write's version. */
export interface Write {
  readonly version: number
  readonly before: StoredObject | undefined
  readonly after: StoredObject | undefined
  readonly last: StoredObject
}

interface Collection {
  readonly objects: Map<string, StoredObject>
  history: Write[]
  /** Watches must start at this version or later. */
  oldest: number
}

/** What etcd and the watch cache are to an API server: objects, one version counter, and a window of history. */
export class Store {
  readonly #collections: Readonly<Record<ResourceName, Collection>>
  readonly #historyLimit: number
  #version = 1000

  constructor(historyLimit: number) {
    const empty = (): Collection => ({ objects: new Map(), history: [], oldest: this.#version })
    this.#historyLimit = historyLimit
    this.#collections = { services: empty(), endpointslices: empty(), nodes: empty(), servicecidrs: empty() }
  }

  get version(): number {
    return this.#version
  }

  /** Lets time pass: writes to objects that nobody here watches. */
  advance(): void {
    this.#version++
  }

  /** Creates or replaces. */
  put(resource: ResourceName, manifest: Manifest): { readonly object: StoredObject; readonly write: Write } {
    const { apiVersion, kind } = resourceKinds[resource]
    const collection = this.#collections[resource]
    const key = keyOf(resource, manifest.metadata.name, manifest.metadata.namespace)
    const before = collection.objects.get(key)
    const version = ++this.#version
    const uid = before?.metadata.uid ?? manifest.metadata.uid ?? randomUUID()
    const namespace = resourceKinds[resource].namespaced && { namespace: manifest.metadata.namespace ?? 'default' }
    const metadata = { ...manifest.metadata, ...namespace, uid, resourceVersion: String(version) }
    const object: StoredObject = { ...manifest, apiVersion, kind, metadata }
    collection.objects.set(key, object)
    return { object, write: this.#record(collection, { version, before, after: object, last: object }) }
  }

  /** undefined when there is no such object. */
  delete(resource: ResourceName, name: string, namespace?: string): Write | undefined {
    const collection = this.#collections[resource]
    const key = keyOf(resource, name, namespace)
    const before = collection.objects.get(key)
    if (before === undefined) return undefined
    collection.objects.delete(key)
    const version = ++this.#version
    const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(version) } }
    return this.#record(collection, { version, before, after: undefined, last })
  }

  /** In the order of their keys, as a list gives them. */
  objects(resource: ResourceName): readonly StoredObject[] {
    const { objects } = this.#collections[resource]
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
  }

  /** Everything after `version`; undefined when that is further back than the window reaches. */
  since(resource: ResourceName, version: number): readonly Write[] | undefined {
    const { history, oldest } = this.#collections[resource]
    return version < oldest ? undefined : history.filter((write) => write.version > version)
  }

  /** Forgets the history: a watch can only start from now. */
  compact(resource?: ResourceName): void {
    this.advance()
    for (const name of resource === undefined ? resourceNames : [resource]) {
      const collection = this.#collections[name]
      collection.history = []
      collection.oldest = this.#version
    }
  }

  #record(collection: Collection, write: Write): Write {
    collection.history.push(write)
    const dropped = collection.history.length > this.#historyLimit ? collection.history.shift() : undefined
    if (dropped !== undefined) collection.oldest = dropped.version
    return write
  }
}

const keyOf = (resource: ResourceName, name: string, namespace = 'default'): string =>
  resourceKinds[resource].namespaced ? `${namespace}/${name}` : name
