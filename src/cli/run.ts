import type { Logger } from 'pino'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import type { Config } from '../config/config.ts'
import type { InterfaceAddress } from '../kernel/route/interface-address.ts'
import { NetlinkRoute } from '../kernel/route/netlink-route.ts'
import { writeOomScoreAdj } from '../kernel/sysctl/oom-score.ts'
import { ServiceHealthServers } from '../observe/health/service-health.ts'
import { systemClock } from '../sync/clock.ts'
import { composeProxy, type NodeProxy } from './compose.ts'
import { describe, FatalError } from './fatal.ts'
import { openNftables } from './kernel.ts'
import { waitForNode } from './node-ready.ts'
import { createObservation, type Observation } from './observers.ts'
import { nodeNameOf } from './settings.ts'
import { createSource } from './sources.ts'
import { describeTakeover } from './takeover-report.ts'

/** How long a sync that is under way may take when the process is told to end. */
const graceMs = 10_000

/**
 * `weir run`: serves until `stop` fires, then finishes the commit in flight and leaves the rules in place. With
 * `--once` it returns after the first sync, or throws why that failed.
 *
 * @throws FatalError, ApiError, SourceError or ObserveError: what keeps it from starting
 */
export const run = async (config: Config, logger: Logger, stop: AbortSignal): Promise<void> => {
  const ended = new AbortController()
  const work = ended.signal
  const grace = (): void => void setTimeout(() => ended.abort(), graceMs).unref()
  stop.addEventListener('abort', grace, { once: true })
  const observation = createObservation(config, systemClock, logger)
  const nftables = await openNftables((family, reason) => proxy?.distrust(family, reason), logger, work)
  let proxy: NodeProxy | undefined
  let takeover: Promise<void> = Promise.resolve()
  try {
    proxy = composeProxy({
      config,
      backends: nftables.backends,
      observer: observation.observer,
      clock: systemClock,
      logger,
      firstWritten: () => {
        takeover = takeOver(logger, work)
      },
    })
    await serveProxy(config, proxy, observation, logger, stop, work)
    await takeover
  } finally {
    stop.removeEventListener('abort', grace)
    ended.abort()
    nftables.close()
  }
}

const serveProxy = async (
  config: Config,
  proxy: NodeProxy,
  observation: Observation,
  logger: Logger,
  stop: AbortSignal,
  work: AbortSignal,
): Promise<void> => {
  const { sink, loop, tracker, desired } = proxy
  await writeOomScoreAdj(config.oomScoreAdj, work).catch((error: unknown) => {
    logger.debug({ err: describe(error) }, 'Could not set the OOM score')
  })
  await watchAddresses(proxy, logger, stop)
  const servers = config.once ? [] : await observation.serve(stop)
  const source = createSource(config, nodeNameOf(config), observation.metrics.source, logger).run(sink, stop)
  await Promise.race([sink.ready, source])
  await Promise.race([nodeReady(config, proxy, observation, logger, stop), source])
  if (stop.aborted) return
  if (config.once) {
    const error = await loop.syncOnce(work)
    if (error !== undefined) throw new FatalError(`could not sync: ${describe(error)}`, error)
    return
  }
  const healthPorts = new ServiceHealthServers({
    clock: systemClock,
    addresses: { IPv4: desired.host('IPv4').nodePortAddresses, IPv6: desired.host('IPv6').nodePortAddresses },
    isProxyHealthy: () => observation.health.isHealthy(),
    problem: (event) => observation.observer.problem(event),
    onError: (error) => logger.error({ err: describe(error) }, 'Health check server'),
  })
  observation.add(healthPorts)
  logger.info({ node: nodeNameOf(config), services: tracker.serviceCount }, 'Caches are full: serving')
  const looping = loop.run(stop, work)
  await Promise.race([looping, source])
  await looping
  await Promise.all([healthPorts.close(), ...servers.map((server) => server.close())])
}

const watchAddresses = async (proxy: NodeProxy, logger: Logger, stop: AbortSignal): Promise<void> => {
  const ips = (list: readonly InterfaceAddress[]) => list.map(({ ip }) => ip)
  const present = await new NetlinkRoute().watchAddresses(
    (list) => proxy.setAddresses(ips(list)),
    stop,
    (error) => logger.warn({ err: describe(error) }, 'Could not read the addresses of the node'),
  )
  proxy.setAddresses(ips(present))
}

const nodeReady = async (
  config: Config,
  { tracker }: NodeProxy,
  observation: Observation,
  logger: Logger,
  stop: AbortSignal,
): Promise<void> => {
  if (tracker.lastNode() === undefined && config.manifests.length > 0) {
    // A folder without a Node manifest: nothing says that this node is not to take traffic.
    observation.observer.nodeEligible({ eligible: true, seen: true })
    return
  }
  const options = {
    tracker,
    nodeName: nodeNameOf(config),
    needsPodCidrs: config.detectLocal.mode === 'NodeCIDR',
    addressGiven: config.nodeIPOverride !== undefined,
    warn: (line: string) => logger.warn(line),
    sleep: systemClock.sleep,
  }
  await waitForNode(options, stop)
}

/** Only after our own rules are in place, so that a swap leaves no gap. What cannot be removed does no harm. */
const takeOver = async (logger: Logger, signal: AbortSignal): Promise<void> => {
  try {
    const report = await removeLeftovers(signal)
    for (const line of describeTakeover(report)) logger.info(line)
    for (const error of report.errors) logger.warn({ err: error.message }, 'Could not remove what kube-proxy left')
  } catch (error) {
    if (!signal.aborted) logger.warn({ err: describe(error) }, 'Could not remove what kube-proxy left')
  }
}
