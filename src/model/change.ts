import type { EndpointSlice } from './endpoint-slice.ts'
import type { ServiceKey, SliceKey } from './names.ts'
import type { Node, ServiceCidr } from './node.ts'
import type { Problem } from './problem.ts'
import type { Service } from './service.ts'

/** One object's new state; `value` undefined = it is gone. */
export type ModelChange =
  | { readonly kind: 'service'; readonly key: ServiceKey; readonly value: Service | undefined }
  | { readonly kind: 'slice'; readonly key: SliceKey; readonly value: EndpointSlice | undefined }
  | { readonly kind: 'node'; readonly value: Node | undefined }
  | { readonly kind: 'serviceCidr'; readonly name: string; readonly value: ServiceCidr | undefined }

/** Where a source hands over what it learns. Calls are synchronous and never throw. */
export interface ChangeSink {
  /** Several changes that belong together, e.g. one file or one page of a list. Order matters. */
  changes(batch: readonly ModelChange[]): void
  /** Every cache has been filled once: from here on writing to the kernel is allowed. Called once. */
  synced(): void
  problem(problem: Problem): void
}
