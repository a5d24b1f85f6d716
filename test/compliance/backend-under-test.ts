import type { Family } from '../../src/model/ip.ts'
import type { Settings, Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'

/**
 * A way of proxying, with everything that feeds it, on the node of a scene. What it cannot do, its traits say, and the
 * tables then expect it not to.
 */
export interface BackendUnderTest {
  readonly name: string
  readonly traits: Traits
  /** Serves a cluster of exactly these objects, over whatever is in the kernel. Resolves when the kernel has them. */
  start(objects: readonly Manifest[], settings: Settings): Promise<void>
  /** From now on the cluster is exactly these objects. Resolves when the kernel has them. */
  update(objects: readonly Manifest[]): Promise<void>
  /** Somebody else deletes our rules of one family; resolves when they are back. */
  loseRules(family: Family): Promise<void>
  /** Lets go of UDP flows; those that conntrack knows are none of its. */
  forgetFlows?(): Promise<void>
  /** Ends, and leaves the rules in the kernel. */
  stop(): Promise<void>
  /** Removes the rules, running or not. */
  cleanup(): Promise<void>
}
