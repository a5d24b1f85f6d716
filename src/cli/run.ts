import type { Logger } from 'pino'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import { systemClock } from '../sync/clock.ts'
import { composeProxy, type NodeProxy } from './compose.ts'
import { describe, FatalError } from './fatal.ts'
import { openNftables } from './kernel.ts'
import { createObservation } from './observers.ts'
import { type Signals, serveNode } from './serve-node.ts'
import { nodeNameOf } from './settings.ts'
import { describeTakeover } from './takeover-report.ts'
import { version } from './version.ts'

/** How long a sync that is under way may take when the process is told to end. */
const graceMs = 10_000

/**
 * `weir run`: serves until `stop` fires, then finishes the commit in flight and leaves the rules in place. With
 * `--once` it returns after the first sync, or throws why there was none.
 *
 * @throws FatalError, ApiError, SourceError or ObserveError: what keeps it from starting
 */
export const run = async (config: Config, logger: Logger, stop: AbortSignal): Promise<void> => {
  const ended = new AbortController()
  const grace = (): void => void setTimeout(() => ended.abort(), graceMs).unref()
  stop.addEventListener('abort', grace, { once: true })
  try {
    await start(config, logger, { stop, work: ended.signal })
    if (stop.aborted) logger.info('Told to end: the rules stay')
  } catch (error) {
    // What the end interrupted has not failed.
    if (!stop.aborted || error !== stop.reason) throw error
    if (config.once) throw new FatalError('told to end before the first sync', error)
  } finally {
    stop.removeEventListener('abort', grace)
    ended.abort()
  }
}

const start = async (config: Config, logger: Logger, signals: Signals): Promise<void> => {
  logger.info({ version, mode: config.mode, node: nodeNameOf(config) }, 'weir starts')
  const observation = createObservation(config, systemClock, logger)
  let proxy: NodeProxy | undefined
  const nftables = await openNftables((family, reason) => proxy?.distrust(family, reason), logger, signals.work)
  let takeover: Promise<void> = Promise.resolve()
  try {
    proxy = composeProxy({
      config,
      backends: nftables.backends,
      observer: observation.observer,
      clock: systemClock,
      firstWritten: () => {
        takeover = takeOver(logger, signals.work)
      },
    })
    const served = nftables.backends.map(({ family }) => family)
    await serveNode({ config, logger, observation, proxy, served }, signals)
    await takeover
  } finally {
    nftables.close()
  }
}

/** Only after our own rules are in place, so that a swap leaves no gap. What cannot be removed does no harm. */
const takeOver = async (logger: Logger, signal: AbortSignal): Promise<void> => {
  try {
    const report = await removeLeftovers(signal)
    for (const line of describeTakeover(report)) logger.info(line)
    for (const error of report.errors) logger.warn({ err: describe(error) }, 'Could not remove what kube-proxy left')
  } catch (error) {
    if (!signal.aborted) logger.warn({ err: describe(error) }, 'Could not remove what kube-proxy left')
  }
}
