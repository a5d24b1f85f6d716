import { assertNever } from '../../src/model/assert-never.ts'
import type { Endpoint, EndpointSlice } from '../../src/model/endpoint-slice.ts'
import type { Manifest } from '../../test/apiserver/resources.ts'
import { podCapacity } from './addresses.ts'
import { type ClusterSpec, member } from './cluster.ts'
import { type Member, sliceManifest } from './manifests.ts'
import { Random } from './random.ts'

/** What may happen to one endpoint: a ready pod is replaced by one with a new address, goes, comes, or readiness flips. */
export const changeKinds = ['replaced', 'removed', 'added', 'readiness'] as const
export type ChangeKind = (typeof changeKinds)[number]

/** Ready endpoints that a Service keeps, and endpoints that it may have: it stays about as large as it was. */
interface Limits {
  readonly fewest: number
  readonly most: number
}

/**
 * An endless seeded stream of changes of single endpoints, each as the EndpointSlice that a watch would deliver. It
 * looks at the slices as they are when it is asked, so it goes with a cluster that follows its changes.
 */
export class ChangeStream {
  readonly #random: Random
  readonly #slices: readonly (() => EndpointSlice)[]
  readonly #limits: Limits
  #pod: number
  #version = 1000

  /** `spec`: of the cluster that it begins with, whose seed is its own too. `slices`: one of each Service. */
  constructor({ seed, services, endpoints }: ClusterSpec, slices: readonly (() => EndpointSlice)[]) {
    this.#random = new Random(seed + 1)
    this.#slices = slices
    this.#limits = { fewest: Math.max(1, endpoints - 2), most: endpoints + 4 }
    this.#pod = services * endpoints
  }

  /** A change of this kind to a Service picked at random; undefined when none can take it. */
  next(kind: ChangeKind): Manifest | undefined {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const changed = this.change(this.#random.pick(this.#slices)(), kind)
      if (changed !== undefined) return changed
    }
    return undefined
  }

  /** The same for a given slice; undefined when it has too few endpoints for that, or too many. */
  change(slice: EndpointSlice, kind: ChangeKind): Manifest | undefined {
    const members = changed(slice, kind, this.#limits, this.#random, () => this.#newPod())
    return members === undefined ? undefined : this.manifest(slice, members)
  }

  /** The slice with other endpoints. */
  manifest(slice: EndpointSlice, members: readonly Member[]): Manifest {
    const [namespace = '', name = ''] = slice.service.split('/')
    const version = { resourceVersion: ++this.#version, changedAt: new Date().toISOString() }
    return sliceManifest({ namespace, name }, members, version)
  }

  #newPod(): Member {
    return member(this.#pod++ % podCapacity)
  }
}

export const membersOf = ({ endpoints }: EndpointSlice): readonly Member[] => endpoints.map(memberOf)

const memberOf = ({ ip, podName, nodeName, zone, ready }: Endpoint): Member => ({
  ip,
  pod: podName ?? ip,
  node: nodeName ?? '',
  zone: zone ?? '',
  ready,
})

const changed = (
  slice: EndpointSlice,
  kind: ChangeKind,
  { fewest, most }: Limits,
  random: Random,
  newPod: () => Member,
): readonly Member[] | undefined => {
  const members = membersOf(slice)
  const ready = members.flatMap((one, i) => (one.ready ? [i] : []))
  switch (kind) {
    case 'replaced':
      return members.with(random.pick(ready), newPod())
    case 'removed':
      return ready.length > fewest ? members.toSpliced(random.pick(ready), 1) : undefined
    case 'added':
      return members.length < most ? [...members, newPod()] : undefined
    case 'readiness': {
      const down = members.findIndex((one) => !one.ready)
      const at = down >= 0 ? down : random.pick(ready)
      const one = members[at]
      if (one === undefined || (one.ready && ready.length <= fewest)) return undefined
      return members.with(at, { ...one, ready: !one.ready })
    }
    default:
      return assertNever(kind, 'change')
  }
}
