import type { Tracker } from '../track/tracker.ts'
import { FatalError } from './fatal.ts'

const pollMs = 50
const addressWaitMs = 30_000
const podCidrWaitMs = 300_000

export interface NodeReadyOptions {
  readonly tracker: Tracker
  readonly nodeName: string
  /** detectLocalMode NodeCIDR: without podCIDRs there is nothing to tell pods by. */
  readonly needsPodCidrs: boolean
  /** An address is given by the configuration. */
  readonly addressGiven: boolean
  readonly warn: (line: string) => void
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * Waits for what the rules need of our Node, as long as kube-proxy does: up to 30 s for an address, then on without
 * one; up to 5 min for podCIDRs in NodeCIDR mode, then no further.
 *
 * @throws FatalError when podCIDRs are needed and do not come
 */
export const waitForNode = async (options: NodeReadyOptions, signal: AbortSignal): Promise<void> => {
  const { tracker, nodeName, needsPodCidrs, addressGiven, warn } = options
  const hasAddress = (): boolean => addressGiven || (tracker.lastNode()?.addresses.length ?? 0) > 0
  const hasPodCidrs = (): boolean => !needsPodCidrs || (tracker.lastNode()?.podCidrs.length ?? 0) > 0
  if (!(await waitUntil(hasAddress, addressWaitMs, options, signal)) && !signal.aborted) {
    warn(`Node ${nodeName} has no address after ${addressWaitMs / 1000} s: going on without one`)
  }
  if (!(await waitUntil(hasPodCidrs, podCidrWaitMs, options, signal)) && !signal.aborted) {
    throw new FatalError(`Node ${nodeName} has no podCIDRs, which detectLocalMode NodeCIDR needs`)
  }
}

const waitUntil = async (
  condition: () => boolean,
  limitMs: number,
  { sleep }: NodeReadyOptions,
  signal: AbortSignal,
): Promise<boolean> => {
  for (let waited = 0; !condition() && waited < limitMs && !signal.aborted; waited += pollMs)
    await sleep(pollMs, signal)
  return condition()
}
