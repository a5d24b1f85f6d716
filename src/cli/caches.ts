import type { Clock } from '../sync/clock.ts'
import type { TrackingSink } from '../sync/tracking-sink.ts'
import { FatalError } from './fatal.ts'
import type { NodeSource } from './sources.ts'

/** How long a command that ends by itself goes on while the API server answers nothing but errors. */
const troubleMs = 10_000

export interface CacheOptions {
  readonly sink: Pick<TrackingSink, 'ready'>
  readonly source: Pick<NodeSource, 'trouble'>
  /** The source at work: what it rejects with ends the wait. */
  readonly running: Promise<void>
  /** Give up when the API server cannot be had, rather than wait for it as kube-proxy does. */
  readonly once: boolean
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
}

/**
 * Waits until every cache is full, or `stop` fires.
 *
 * @throws FatalError when it gives up, and what the source throws
 */
export const waitForCaches = async (options: CacheOptions, stop: AbortSignal): Promise<void> => {
  const { sink, running, once } = options
  const filled = new AbortController()
  const first = [sink.ready, running]
  if (once) first.push(giveUp(options, AbortSignal.any([stop, filled.signal])))
  try {
    await Promise.race(first)
  } finally {
    filled.abort()
  }
}

const giveUp = async ({ source, clock }: CacheOptions, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await clock.sleep(100, signal)
    const trouble = source.trouble()
    if (trouble !== undefined && clock.monotonic() - trouble.since >= troubleMs)
      throw new FatalError(`could not list what the API server has: ${trouble.message}`)
  }
}
