import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import type { Manifest } from '../../test/apiserver/resources.ts'
import type { SyntheticService } from '../cluster/cluster.ts'
import { serviceManifest } from '../cluster/manifests.ts'

/** Gives Services in turn another weight for one of their endpoints. */
export class WeightChanges {
  readonly #services: readonly SyntheticService[]
  readonly #slices: ReadonlyMap<string, () => EndpointSlice>
  #made = 0

  /** `slices`: one of each Service, in any order. */
  constructor(services: readonly SyntheticService[], slices: readonly (() => EndpointSlice)[]) {
    this.#services = services
    this.#slices = new Map(slices.map((slice): [string, () => EndpointSlice] => [slice().service, slice]))
  }

  /** The Service, as a watch would deliver it. */
  next(): Manifest {
    const shape = this.#services[this.#made % this.#services.length]
    if (shape === undefined) throw new Error('no Service')
    // From 2 on, so that it is never what it was.
    const weight = 2 + Math.floor(this.#made++ / this.#services.length)
    const slice = this.#slices.get(`${shape.namespace}/${shape.name}`)?.()
    const ready = slice?.endpoints.find((endpoint) => endpoint.ready)
    if (ready === undefined) throw new Error(`${shape.namespace}/${shape.name} has no ready endpoint`)
    const manifest = serviceManifest(shape)
    const annotations = { 'weir.dev/weights': JSON.stringify({ [ready.ip]: weight }) }
    return { ...manifest, metadata: { ...manifest.metadata, annotations } }
  }
}
