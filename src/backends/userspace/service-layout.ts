import type { ServiceState } from '../../model/desired.ts'
import type { ListenerSpec, VirtualServerSpec } from './forward/forwarder.ts'
import type { RedirectElement } from './redirect/elements.ts'

/** A socket of a service port. */
export interface PlannedListener {
  readonly spec: ListenerSpec
  /** Which other port will do when that one is taken: any, the next of the range, or none. */
  readonly otherPort: 'any' | 'next' | 'none'
}

/** One service port in one family as the process and the kernel are to have it. */
export interface ServiceLayout {
  readonly state: ServiceState
  readonly servers: readonly VirtualServerSpec[]
  readonly listeners: readonly PlannedListener[]
  /** None where nothing is redirected. */
  readonly elements: readonly RedirectElement[]
}
