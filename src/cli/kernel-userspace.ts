import type { Logger } from 'pino'
import { removeLeftovers } from '../backends/takeover/takeover.ts'
import { type ReachMeans, UserspaceBackend } from '../backends/userspace/backend.ts'
import { createForwarder } from '../backends/userspace/forward/create-forwarder.ts'
import type { Forwarder } from '../backends/userspace/forward/forwarder.ts'
import { userspaceTable } from '../backends/userspace/redirect/schema.ts'
import { redirectSupport } from '../backends/userspace/redirect/support.ts'
import { userspaceStatus } from '../backends/userspace/status.ts'
import type { Config } from '../config/config.ts'
import { openNftMonitor } from '../kernel/nft/monitor.ts'
import { OwnWriters } from '../kernel/nft/own-writers.ts'
import { WriteGuard } from '../kernel/nft/write-guard.ts'
import { ipv6Enabled } from '../kernel/sysctl/ipv6-enabled.ts'
import { type Family, families } from '../model/ip.ts'
import { describe, FatalError } from './fatal.ts'
import { driftReporter, openClient } from './kernel.ts'
import type { Handover, Kernel, KernelListener, OnDrift, Traffic } from './open-kernel.ts'
import { tryRemoveOwnTables } from './own-tables.ts'
import { socketReports } from './socket-reports.ts'
import { describeOwnTables, describeTakeover } from './takeover-report.ts'
import { processTraffic } from './traffic.ts'

/**
 * Starts forwarding in this process, with nftables to lead traffic to it or without.
 *
 * @throws FatalError with what is missing
 */
export const openUserspace = async (
  config: Config,
  listener: KernelListener,
  logger: Logger,
  signal: AbortSignal,
): Promise<Kernel> => {
  if (config.once) throw new FatalError('--once makes no sense in mode userspace: what forwards is this process')
  const served = (await ipv6Enabled(signal)) ? families : (['IPv4'] as const)
  if (served.length === 1) logger.info('IPv6 is off on this node: serving IPv4 only')
  const { means, close } = await openReach(config, served, listener.drift, logger, signal)
  const forwarder = createForwarder(forwarderOptions(config))
  const onSocket = socketReports(means.kind, listener.problem, logger)
  const backends = served.map(
    (family) =>
      new UserspaceBackend({
        family,
        forwarder,
        reach: means,
        onSocket,
        resync: () => listener.drift(family, 'elementsChanged'),
      }),
  )
  return {
    backends,
    packets: undefined,
    traffic: trafficOf(forwarder, backends, means, config, logger),
    takeOver: means.kind === 'redirect' ? takeOver : async () => ({ lines: [], errors: [] }),
    close: () => {
      close()
      void forwarder.close(0).catch(() => {})
    },
  }
}

const forwarderOptions = ({ userspace }: Config) => ({
  threads: userspace.threads,
  connectTimeoutMs: userspace.connectTimeoutMs,
  tcpIdleMs: userspace.tcpIdleTimeoutMs,
  udpSessionMs: userspace.udpTimeoutMs,
  maxConnections: userspace.maxConnections,
})

interface OpenReach {
  readonly means: ReachMeans
  close(): void
}

const openReach = async (
  { userspace: { redirect, portRange } }: Config,
  served: readonly Family[],
  onDrift: OnDrift,
  logger: Logger,
  signal: AbortSignal,
): Promise<OpenReach> => {
  const listen: OpenReach = { means: { kind: 'listen', portRange }, close: () => {} }
  const where = `NodePorts, and ports ${portRange.first} to ${portRange.last} of the loopback address for cluster IPs`
  if (redirect === 'never') {
    logger.info(`Listening on ${where}`)
    return listen
  }
  try {
    const means = await openRedirect(served, onDrift, signal)
    logger.info('nftables leads the traffic of Services to this process')
    return means
  } catch (error) {
    signal.throwIfAborted()
    if (redirect === 'always') throw error
    logger.warn(`Traffic cannot be redirected: ${describe(error)}. Listening instead on ${where}`)
    return listen
  }
}

/** @throws FatalError with why it cannot be done */
const openRedirect = async (served: readonly Family[], onDrift: OnDrift, signal: AbortSignal): Promise<OpenReach> => {
  const writers = new OwnWriters()
  const client = openClient(writers)
  try {
    for (const family of served) {
      const support = await redirectSupport(client, family, signal)
      if (support.kind !== 'supported')
        throw new FatalError(support.kind === 'unsupported' ? support.why : describe(support.cause), support)
    }
    const report = driftReporter({ client, table: userspaceTable, served, onDrift }, signal)
    const monitor = openNftMonitor({ writers, report })
    const close = (): void => {
      monitor.close()
      client.close()
    }
    return { means: { kind: 'redirect', client, guard: new WriteGuard(client, monitor) }, close }
  } catch (error) {
    client.close()
    throw error
  }
}

const takeOver = async (signal: AbortSignal): Promise<Handover> => {
  const { tables, errors } = await tryRemoveOwnTables(['nftables'], signal)
  const report = await removeLeftovers(signal)
  return {
    lines: [...describeTakeover(report), ...describeOwnTables(tables)],
    errors: [...errors, ...report.errors],
  }
}

const trafficOf = (
  forwarder: Forwarder,
  backends: readonly UserspaceBackend[],
  { kind }: ReachMeans,
  { userspace: { drainTimeoutMs } }: Config,
  logger: Logger,
): Traffic => {
  let ejections = 0
  const failed = new Promise<never>((_resolve, reject) => {
    forwarder.onEvent((event) => {
      switch (event.kind) {
        case 'accept-paused':
          logger.warn('Out of descriptors: no connection is accepted until one is free')
          return
        case 'accept-resumed':
          logger.info({ pausedMs: Math.round(event.afterMs) }, 'Connections are accepted again')
          return
        case 'ejected': {
          ejections++
          const { server, ip, port, forMs } = event
          logger.warn({ server, endpoint: `${ip} port ${port}`, forMs }, 'An endpoint does not accept: ejected')
          return
        }
        case 'recovered':
          logger.info({ server: event.server, endpoint: `${event.ip} port ${event.port}` }, 'An endpoint accepts again')
          return
        case 'thread-failed':
          reject(new FatalError(`a thread that forwards has ended: ${event.error.message}`, event.error))
          return
        default:
          event satisfies never
      }
    })
  })
  // Nobody may be waiting yet.
  failed.catch(() => {})
  const served = () => backends.flatMap((backend) => [...backend.served()])
  return {
    measure: () => processTraffic(served(), forwarder.stats(), ejections),
    status: () => userspaceStatus(kind, served(), forwarder.stats()),
    failed,
    drain: async () => {
      const { connections } = forwarder.stats()
      if (connections > 0)
        logger.info({ connections, limitMs: drainTimeoutMs }, 'Waiting for connections to end by themselves')
      await forwarder.close(drainTimeoutMs)
    },
  }
}
