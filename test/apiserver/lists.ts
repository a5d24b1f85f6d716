import { type Manifest, type ResourceName, resourceKinds, type StoredObject } from './resources.ts'
import { goneStatus, statusObject, tooLargeStatus } from './status.ts'
import type { Store } from './store.ts'

export interface ListAnswer {
  readonly code: number
  readonly body: object
}

interface Snapshot {
  readonly version: number
  readonly items: readonly StoredObject[]
}

/** Answers lists by the rules of https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions. */
export class Lists {
  readonly #store: Store
  readonly #cacheIgnoresLimit: boolean
  readonly #pages = new Map<string, Snapshot>()
  #frozen: Map<ResourceName, Snapshot> | undefined
  #tokens = 0

  constructor(store: Store, cacheIgnoresLimit: boolean) {
    this.#store = store
    this.#cacheIgnoresLimit = cacheIgnoresLimit
  }

  /** From now on lists that may come from the watch cache show the present state, while the store moves on. */
  freezeCache(): void {
    this.#frozen = new Map()
    for (const name of ['services', 'endpointslices', 'nodes', 'servicecidrs'] as const)
      this.#frozen.set(name, this.#current(name))
  }

  thawCache(): void {
    this.#frozen = undefined
  }

  /** Continue tokens given out so far have expired. */
  expire(): void {
    this.#pages.clear()
  }

  answer(resource: ResourceName, query: URLSearchParams, selects: (object: Manifest) => boolean): ListAnswer {
    const version = query.get('resourceVersion') ?? ''
    const match = query.get('resourceVersionMatch') ?? ''
    const limit = Number(query.get('limit') ?? '0')
    const token = query.get('continue') ?? ''
    const forbidden = contradiction(version, match, token)
    if (forbidden !== undefined) return { code: 400, body: statusObject(400, 'BadRequest', forbidden) }
    if (token !== '') {
      const snapshot = this.#pages.get(token)
      if (snapshot === undefined) return { code: 410, body: goneStatus('The provided continue parameter is too old') }
      return { code: 200, body: this.#page(resource, snapshot, limit) }
    }
    const isExact = match === 'Exact' || (match === '' && limit > 0 && version !== '' && version !== '0')
    const mayBeOld = version !== '' && !isExact
    const snapshot = (mayBeOld ? this.#frozen?.get(resource) : undefined) ?? this.#current(resource)
    const asked = Number(version)
    if (asked > snapshot.version) return { code: 504, body: tooLargeStatus(asked, snapshot.version) }
    if (isExact && asked !== snapshot.version)
      return { code: 410, body: goneStatus(`The resourceVersion for the provided list is too old: ${asked}`) }
    const items = snapshot.items.filter(selects)
    const isWhole = mayBeOld && this.#cacheIgnoresLimit
    return { code: 200, body: this.#page(resource, { version: snapshot.version, items }, isWhole ? 0 : limit) }
  }

  #current(resource: ResourceName): Snapshot {
    return { version: this.#store.version, items: this.#store.objects(resource) }
  }

  #page(resource: ResourceName, { version, items }: Snapshot, limit: number): object {
    const { apiVersion, kind } = resourceKinds[resource]
    const page = limit > 0 ? items.slice(0, limit) : items
    const rest = items.slice(page.length)
    const metadata = { resourceVersion: String(version), ...(rest.length > 0 && this.#more(version, rest)) }
    // The items of a typed list carry neither kind nor apiVersion.
    return {
      kind: `${kind}List`,
      apiVersion,
      metadata,
      items: page.map(({ kind: _, apiVersion: __, ...item }) => item),
    }
  }

  #more(version: number, rest: readonly StoredObject[]): object {
    const token = `page-${++this.#tokens}`
    this.#pages.set(token, { version, items: rest })
    return { continue: token, remainingItemCount: rest.length }
  }
}

const contradiction = (version: string, match: string, token: string): string | undefined => {
  if (token !== '' && version !== '') return 'specifying resource version is not allowed when using continue'
  if (token !== '' && match !== '') return 'resourceVersionMatch is forbidden for continue'
  if (match !== '' && version === '') return 'resourceVersionMatch is forbidden unless resourceVersion is provided'
  if (match === 'Exact' && version === '0') return 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
  return undefined
}
