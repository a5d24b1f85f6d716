import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { healthRoutes } from '../observe/health/health-routes.ts'
import { ProxyHealth } from '../observe/health/proxy-health.ts'
import { type Route, router } from '../observe/http/reply.ts'
import { type RunningServer, serve } from '../observe/http/serve.ts'
import { problemLog } from '../observe/log/problem-log.ts'
import { syncLog } from '../observe/log/sync-log.ts'
import { createMetrics, type Metrics } from '../observe/metrics/metrics.ts'
import { metricsRoutes } from '../observe/metrics/metrics-routes.ts'
import type { Clock } from '../sync/clock.ts'
import { combineObservers, type SyncEvents, type SyncObserver } from '../sync/events.ts'
import { describe } from './fatal.ts'
import { version } from './version.ts'

export interface Observation {
  readonly observer: SyncObserver
  readonly metrics: Metrics
  readonly health: ProxyHealth
  /** One more listener, from now on. */
  add(observer: Partial<SyncObserver>): void
  /** One more path on the metrics port, if it comes before {@link serve}. */
  route(path: string, route: Route): void
  /**
   * Opens the health and metrics ports; `measure` is called before each answer of /metrics. A port that is taken is
   * tried again every 5 s, with one line about it, unless bindAddressHardFail.
   *
   * @throws ObserveError with bindAddressHardFail
   */
  serve(measure: () => void, signal: AbortSignal): Promise<readonly RunningServer[]>
}

export const createObservation = (config: Config, clock: Clock, logger: Logger): Observation => {
  const metrics = createMetrics(config.mode, { version, commit: '' }, clock)
  const health = new ProxyHealth(clock, config.syncPeriodMs)
  const log = syncLog(logger)
  const all: Partial<SyncObserver>[] = [
    ...metrics.observers,
    health,
    problemLog(logger, { clock }),
    { ...log, nodeEligible: onNews(log.nodeEligible) },
  ]
  const observer = combineObservers(all, (cause, event) =>
    logger.error({ err: describe(cause) }, `An observer failed on ${event}`),
  )
  const more = new Map<string, Route>()
  return {
    observer,
    metrics,
    health,
    add: (one) => void all.push(one),
    route: (path, route) => void more.set(path, route),
    serve: async (measure, signal) => {
      const { healthz, metrics: bind, bindAddressHardFail: hardFail } = config
      const open = async (
        what: string,
        at: typeof bind,
        routes: ReadonlyMap<string, Route>,
      ): Promise<RunningServer> => {
        const onError = oncePerReason((reason) =>
          logger.error(`${what} server: ${reason}${hardFail ? '' : '; trying again every 5 s'}`),
        )
        const options = { address: at.ip, port: at.port, hardFail, onError }
        const handle = router(routes, (cause) => logger.error({ err: describe(cause) }, `${what} request failed`))
        const server = await serve(options, handle, signal)
        void server.bound.then(() => {
          if (server.port !== undefined) logger.info({ address: at.ip, port: server.port }, `${what} server listens`)
        })
        return server
      }
      const servers: RunningServer[] = []
      if (healthz !== undefined) servers.push(await open('Health', healthz, healthRoutes(health, metrics.countProbe)))
      const routes = metricsRoutes({ registry: metrics.registry, mode: config.mode, config: () => config.effective })
      servers.push(await open('Metrics', bind, new Map([...measured(routes, measure), ...more])))
      return servers
    },
  }
}

/** A Node is heard of every few minutes, and whether it takes traffic hardly ever changes. */
const onNews = (tell: SyncObserver['nodeEligible'] | undefined): SyncObserver['nodeEligible'] => {
  let last: SyncEvents['nodeEligible'] | undefined
  return (event) => {
    if (event.eligible !== last?.eligible || event.seen !== last.seen) tell?.(event)
    last = event
  }
}

/** An address that stays taken is worth one line. */
const oncePerReason = (tell: (reason: string) => void): ((error: unknown) => void) => {
  let last: string | undefined
  return (error) => {
    const reason = describe(error)
    if (reason !== last) tell(reason)
    last = reason
  }
}

const measured = (routes: ReadonlyMap<string, Route>, measure: () => void): ReadonlyMap<string, Route> => {
  const path = '/metrics'
  const route = routes.get(path)
  if (route === undefined) return routes
  return new Map([
    ...routes,
    [
      path,
      (query) => {
        measure()
        return route(query)
      },
    ],
  ])
}
