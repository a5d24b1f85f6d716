import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { openConntrack } from '../kernel/conntrack/netlink-conntrack.ts'
import { jsonReply } from '../observe/http/reply.ts'
import { systemClock } from '../sync/clock.ts'
import { composeProxy, type NodeProxy } from './compose.ts'
import { applyConntrack } from './conntrack.ts'
import { nodeConntrack } from './conntrack-kernel.ts'
import { describe, FatalError } from './fatal.ts'
import { createObservation } from './observers.ts'
import { type Kernel, type KernelListener, openKernel } from './open-kernel.ts'
import { type Signals, serveNode } from './serve-node.ts'
import { nodeNameOf } from './settings.ts'
import { statusPath } from './status.ts'
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
    if (stop.aborted)
      logger.info(
        config.mode === 'userspace' ? 'Told to end: nothing is forwarded any more' : 'Told to end: the rules stay',
      )
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
  const conntrack = await applyConntrack(config, nodeConntrack(), signals.work)
  if (conntrack.done.length > 0) logger.info({ conntrack: conntrack.done }, 'Connection tracking is set up')
  for (const remark of conntrack.remarks) logger.warn(remark)
  const listener: KernelListener = {
    drift: (family, reason) => proxy?.distrust(family, reason),
    problem: (problem) => observation.observer.problem({ problem, source: 'backend' }),
  }
  const kernel = await openKernel(config, listener, logger, signals.work)
  const flows = openConntrack()
  let takeover: Promise<void> = Promise.resolve()
  try {
    proxy = composeProxy({
      config,
      backends: kernel.backends,
      observer: observation.observer,
      clock: systemClock,
      flows,
      firstWritten: () => {
        takeover = takeOver(kernel, logger, signals.work).then(() => {
          // Until then, rules of others may have translated.
          for (const reconciler of proxy?.flows ?? []) reconciler.again()
        })
      },
    })
    observation.metrics.countFlows(() => flows.stats(signals.work))
    const { packets, traffic, servers } = kernel
    if (packets !== undefined) observation.metrics.countPackets(packets)
    if (servers !== undefined) observation.metrics.countServers(servers)
    if (traffic !== undefined) {
      observation.metrics.countTraffic(() => traffic.measure())
      observation.route(statusPath, () => jsonReply(200, JSON.stringify(traffic.status())))
    }
    const served = kernel.backends.map(({ family }) => family)
    const serving = serveNode({ config, logger, observation, proxy, served }, signals)
    await (traffic === undefined ? serving : Promise.race([serving, traffic.failed]))
    await takeover
    await traffic?.drain()
  } finally {
    flows.close()
    kernel.close()
  }
}

/** What cannot be removed does no harm. */
const takeOver = async (kernel: Kernel, logger: Logger, signal: AbortSignal): Promise<void> => {
  const failed = (error: unknown): void =>
    logger.warn({ err: describe(error) }, 'Could not remove what another mode left')
  try {
    const { lines, errors } = await kernel.takeOver(signal)
    for (const line of lines) logger.info(line)
    for (const error of errors) failed(error)
  } catch (error) {
    if (!signal.aborted) failed(error)
  }
}
