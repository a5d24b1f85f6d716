import { families } from '../../model/ip.ts'
import { jsonReply, type Reply, type Route } from '../http/reply.ts'
import { rfc3339Nano, zeroTime } from '../timestamp.ts'
import type { HealthReport, ProxyHealth } from './proxy-health.ts'

export type HealthPath = 'healthz' | 'livez'
export type HealthCode = 200 | 503

/**
 * The health port of kube-proxy: `/livez` is 200 while the proxy is healthy, `/healthz` while the node is eligible for
 * traffic as well. `count` hears of every answer.
 */
export const healthRoutes = (
  health: Pick<ProxyHealth, 'report'>,
  count: (path: HealthPath, code: HealthCode) => void,
): ReadonlyMap<string, Route> => {
  const route =
    (path: HealthPath): Route =>
    () => {
      const report = health.report()
      const good = report.healthy && (path === 'livez' || report.nodeEligible)
      const code = good ? 200 : 503
      count(path, code)
      return healthReply(path, code, report)
    }
  return new Map([
    ['/healthz', route('healthz')],
    ['/livez', route('livez')],
  ])
}

/** The order of the keys is part of the answer. */
const healthReply = (path: HealthPath, code: HealthCode, report: HealthReport): Reply => {
  const { currentTime, lastUpdated } = report
  const status = statusOf(report)
  const body = {
    // Old clients take a fresh lastUpdated for a sign of life, so a good answer is always fresh.
    lastUpdated: code === 200 ? rfc3339Nano(currentTime) : timeOrZero(lastUpdated),
    currentTime: rfc3339Nano(currentTime),
    ...(path === 'healthz' ? { nodeEligible: report.nodeEligible } : {}),
    healthy: report.healthy,
    ...(status.length > 0 ? { status: Object.fromEntries(status) } : {}),
  }
  return jsonReply(code, JSON.stringify(body))
}

const statusOf = (report: HealthReport): [string, { readonly lastUpdated: string; readonly healthy: boolean }][] =>
  families.flatMap((family) => {
    const state = report.families.get(family)
    if (state === undefined) return []
    return [[family, { lastUpdated: rfc3339Nano(state.lastUpdated), healthy: state.healthy }]]
  })

const timeOrZero = (ms: number | undefined): string => (ms === undefined ? zeroTime : rfc3339Nano(ms))
