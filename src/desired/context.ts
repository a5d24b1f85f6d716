import type { Claim } from '../model/claim.ts'
import type { Family, IP } from '../model/ip.ts'
import type { Scheduler } from '../model/scheduling.ts'

/** What the desired state of a Service depends on besides the Service and its slices. One per family. */
export interface DesiredContext {
  readonly family: Family
  /** Our Node's name: endpoints with this `nodeName` are local. */
  readonly nodeName: string
  /** Our Node's label topology.kubernetes.io/zone. */
  readonly zone: string | undefined
  /** Our Node's IP in this family. */
  readonly nodeIP: IP | undefined
  /** Asked about every address and NodePort; what another Service owns is left out. */
  readonly owns: (claim: Claim) => boolean
  /** What the backend can do. */
  readonly supportedSchedulers: ReadonlySet<Scheduler>
}
