import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import { healthRoutes } from '../observe/health/health-routes.ts'
import { ProxyHealth } from '../observe/health/proxy-health.ts'
import { router } from '../observe/http/reply.ts'
import { type RunningServer, serve } from '../observe/http/serve.ts'
import { problemLog } from '../observe/log/problem-log.ts'
import { syncLog } from '../observe/log/sync-log.ts'
import { createMetrics, type Metrics } from '../observe/metrics/metrics.ts'
import { metricsRoutes } from '../observe/metrics/metrics-routes.ts'
import type { Clock } from '../sync/clock.ts'
import { combineObservers, type SyncObserver } from '../sync/events.ts'
import { version } from './version.ts'

export interface Observation {
  readonly observer: SyncObserver
  readonly metrics: Metrics
  readonly health: ProxyHealth
  /** One more listener, from now on. */
  add(observer: Partial<SyncObserver>): void
  /** Opens the health and metrics ports. @throws ObserveError with bindAddressHardFail */
  serve(signal: AbortSignal): Promise<readonly RunningServer[]>
}

export const createObservation = (config: Config, clock: Clock, logger: Logger): Observation => {
  const metrics = createMetrics(config.mode, { version, commit: '' }, clock)
  const health = new ProxyHealth(clock, config.syncPeriodMs)
  const all: Partial<SyncObserver>[] = [...metrics.observers, health, problemLog(logger, { clock }), syncLog(logger)]
  const onError = (what: string) => (cause: unknown) =>
    logger.error({ err: cause instanceof Error ? cause.message : String(cause) }, what)
  const observer = combineObservers(all, (cause, event) => onError(`An observer failed on ${event}`)(cause))
  return {
    observer,
    metrics,
    health,
    add: (more) => void all.push(more),
    serve: async (signal) => {
      const servers: RunningServer[] = []
      const { healthz, metrics: bind, bindAddressHardFail: hardFail } = config
      if (healthz !== undefined) {
        const routes = healthRoutes(health, metrics.countProbe)
        const options = { address: healthz.ip, port: healthz.port, hardFail, onError: onError('Health server') }
        servers.push(await serve(options, router(routes, onError('Health request')), signal))
      }
      const routes = metricsRoutes({ registry: metrics.registry, mode: config.mode, config: () => config.effective })
      const options = { address: bind.ip, port: bind.port, hardFail, onError: onError('Metrics server') }
      servers.push(await serve(options, router(routes, onError('Metrics request')), signal))
      return servers
    },
  }
}
