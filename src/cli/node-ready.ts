import type { Node } from '../model/node.ts'
import { FatalError } from './fatal.ts'

const pollMs = 50
const addressWaitMs = 30_000
const podCidrWaitMs = 300_000

export interface NodeReadyOptions {
  /** Our Node as it is now. */
  readonly node: () => Pick<Node, 'addresses' | 'podCidrs'> | undefined
  readonly nodeName: string
  readonly needs: {
    /** Not when the configuration gives one, and not where nobody is expected to add one. */
    readonly address: boolean
    /** detectLocalMode NodeCIDR: without podCIDRs there is nothing to tell pods by. */
    readonly podCidrs: boolean
  }
  /** What is not there now will not come: there is no waiting. */
  readonly once: boolean
  readonly warn: (line: string) => void
  readonly info: (line: string) => void
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
}

/**
 * Waits for what the rules need of our Node, as long as kube-proxy does: up to 30 s for an address, then on without
 * one; up to 5 min for podCIDRs in NodeCIDR mode, then no further. Resolves early when `signal` fires.
 *
 * @throws FatalError when podCIDRs are needed and do not come
 */
export const waitForNode = async (options: NodeReadyOptions, signal: AbortSignal): Promise<void> => {
  const { node, nodeName, needs, warn } = options
  const hasAddress = (): boolean => !needs.address || (node()?.addresses.length ?? 0) > 0
  const hasPodCidrs = (): boolean => !needs.podCidrs || (node()?.podCidrs.length ?? 0) > 0
  if (!(await waitUntil(hasAddress, 'an address', addressWaitMs, options, signal)))
    warn(`${missing(nodeName, node())} no address: going on without one`)
  if (!(await waitUntil(hasPodCidrs, 'podCIDRs', podCidrWaitMs, options, signal)))
    throw new FatalError(`${missing(nodeName, node())} no podCIDRs, which detectLocalMode NodeCIDR needs`)
}

const missing = (nodeName: string, node: object | undefined): string =>
  node === undefined ? `there is no Node ${nodeName}, hence` : `Node ${nodeName} has`

/** False when the time is up; true also when `signal` fired, because then nothing is awaited any more. */
const waitUntil = async (
  condition: () => boolean,
  what: string,
  limitMs: number,
  { once, nodeName, info, sleep }: NodeReadyOptions,
  signal: AbortSignal,
): Promise<boolean> => {
  if (condition() || signal.aborted) return true
  if (once) return false
  info(`Waiting up to ${limitMs / 1000} s for Node ${nodeName} to have ${what}`)
  for (let waited = 0; waited < limitMs; waited += pollMs) {
    await sleep(pollMs, signal)
    if (condition() || signal.aborted) return true
  }
  return false
}
