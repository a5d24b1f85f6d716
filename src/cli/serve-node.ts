import type { Logger } from 'pino'
import { ipvsDevice } from '../backends/ipvs/settings.ts'
import type { Config } from '../config/config.ts'
import type { InterfaceAddress } from '../kernel/route/interface-address.ts'
import { NetlinkRoute } from '../kernel/route/netlink-route.ts'
import { writeOomScoreAdj } from '../kernel/sysctl/oom-score.ts'
import type { Family } from '../model/ip.ts'
import { ServiceHealthServers } from '../observe/health/service-health.ts'
import { systemClock } from '../sync/clock.ts'
import { waitForCaches } from './caches.ts'
import type { NodeProxy } from './compose.ts'
import { checkFamilies } from './family-checks.ts'
import { describe, FatalError } from './fatal.ts'
import { loopbackNodePortLines } from './loopback-checks.ts'
import { waitForNode } from './node-ready.ts'
import type { Observation } from './observers.ts'
import { nodeNameOf } from './settings.ts'
import { createSource } from './sources.ts'

export interface Signals {
  /** The process is told to end. */
  readonly stop: AbortSignal
  /** Even what is under way has to end. */
  readonly work: AbortSignal
}

export interface NodeParts {
  readonly config: Config
  readonly logger: Logger
  readonly observation: Observation
  readonly proxy: NodeProxy
  /** The families that have a backend. */
  readonly served: readonly Family[]
}

/**
 * Fills the caches, then keeps the kernel in step with them until told to end; or writes once. Nothing is written
 * before all caches are full.
 *
 * @throws the reason of `stop` when that fires before the first write; FatalError and what the source throws
 */
export const serveNode = async (parts: NodeParts, signals: Signals): Promise<void> => {
  const { config, logger, observation, proxy } = parts
  const { sink } = proxy
  const { stop, work } = signals
  await writeOomScoreAdj(config.oomScoreAdj, work).catch((error: unknown) => {
    logger.debug({ err: describe(error) }, 'Could not set the OOM score')
  })
  await watchAddresses(proxy, logger, stop)
  const now = systemClock.monotonic
  const options = { config, nodeName: nodeNameOf(config), metrics: observation.metrics.source, logger, now }
  const source = createSource(options)
  const servers = config.once ? [] : await observation.serve(source.measure, stop)
  const running = source.run(sink, stop)
  // Whoever waits for it hears of its failure; nobody may be waiting while the process ends for another reason.
  running.catch(() => {})
  await waitForCaches({ sink, source, running, once: config.once, clock: systemClock }, stop)
  await Promise.race([nodeReady(parts, stop), running])
  stop.throwIfAborted()
  for (const line of checkFamilies(config, parts.served, proxy.tracker.lastNode())) logger.error(line)
  for (const line of loopbackNodePortLines(config)) logger.error(line)
  if (config.once) return writeOnce(parts, work)
  await keepInStep(parts, running, signals)
  await Promise.all(servers.map((server) => server.close()))
}

const watchAddresses = async (proxy: NodeProxy, logger: Logger, stop: AbortSignal): Promise<void> => {
  const ips = (list: readonly InterfaceAddress[]) => list.map(({ ip }) => ip)
  const present = await new NetlinkRoute().watchAddresses((list) => proxy.setAddresses(ips(list)), stop, {
    // What weir itself, or kube-proxy, adds for mode ipvs is no way to reach the node.
    ignore: ipvsDevice,
    onError: (error) => logger.warn({ err: describe(error) }, 'Could not read the addresses of the node'),
  })
  proxy.setAddresses(ips(present))
}

const nodeReady = async ({ config, logger, observation, proxy }: NodeParts, stop: AbortSignal): Promise<void> => {
  const fromFolder = config.manifests.length > 0
  const node = () => proxy.tracker.lastNode()
  // Nothing in a folder without a Node manifest says that this node is not to take traffic.
  if (fromFolder && node() === undefined) observation.observer.nodeEligible({ eligible: true, seen: true })
  const needs = {
    address: config.nodeIPOverride === undefined && !fromFolder,
    podCidrs: config.detectLocal.mode === 'NodeCIDR',
  }
  const nodeName = nodeNameOf(config)
  const warn = (line: string): void => logger.warn(line)
  const info = (line: string): void => logger.info(line)
  await waitForNode({ node, nodeName, needs, once: config.once, warn, info, sleep: systemClock.sleep }, stop)
}

/** What a first attempt finds (a table of another version, a Service that the kernel refuses) a later one gets round. */
const onceAttempts = 3
const onceRetryMs = 100

const writeOnce = async ({ logger, proxy }: NodeParts, work: AbortSignal): Promise<void> => {
  let error = await proxy.loop.syncOnce(work)
  for (let attempt = 1; error !== undefined && attempt < onceAttempts && !work.aborted; attempt++) {
    await systemClock.sleep(onceRetryMs, work)
    error = await proxy.loop.syncOnce(work)
  }
  if (error !== undefined) throw new FatalError(`could not sync: ${describe(error)}`, error)
  await Promise.all(proxy.flows.map((reconciler) => reconciler.once(work)))
  logger.info({ services: proxy.tracker.serviceCount }, 'Synced once')
}

const keepInStep = async (
  { config, logger, observation, proxy }: NodeParts,
  running: Promise<void>,
  { stop, work }: Signals,
): Promise<void> => {
  const { desired, loop, tracker } = proxy
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
  const reconciling = proxy.flows.map((reconciler) => reconciler.run(stop))
  await Promise.race([looping, running])
  await looping
  await Promise.all(reconciling)
  await healthPorts.close()
}
