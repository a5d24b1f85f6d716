import type { Registry } from 'prom-client'
import { jsonReply, type Route, textReply } from '../http/reply.ts'

export interface MetricsRoutesOptions {
  readonly registry: Registry
  /** What /proxyMode says: `nftables`, `iptables`, … */
  readonly mode: string
  /** The effective configuration in its v1alpha1 form, with kind and apiVersion. */
  readonly config: () => unknown
}

/** The metrics port of kube-proxy. */
export const metricsRoutes = ({ registry, mode, config }: MetricsRoutesOptions): ReadonlyMap<string, Route> =>
  new Map<string, Route>([
    [
      '/metrics',
      async () => ({ status: 200, headers: { 'Content-Type': registry.contentType }, body: await registry.metrics() }),
    ],
    ['/healthz', (query) => textReply(200, query.has('verbose') ? '[+]ping ok\nhealthz check passed\n' : 'ok')],
    ['/healthz/ping', () => textReply(200, 'ok')],
    ['/proxyMode', () => textReply(200, mode)],
    ['/configz', () => jsonReply(200, JSON.stringify({ 'kubeproxy.config.k8s.io': config() }))],
  ])
