import type { HealthCheck } from '../../sync/events.ts'
import { jsonReply, type Reply } from '../http/reply.ts'

/**
 * What a load balancer reads on a Service's healthCheckNodePort, byte for byte as kube-proxy writes it: indented with
 * tabs, no final newline. The weight header lets it share connections in proportion to the local endpoints.
 */
export const serviceHealthReply = (
  { namespace, name, localEndpoints }: Omit<HealthCheck, 'port'>,
  proxyHealthy: boolean,
): Reply => {
  const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy: proxyHealthy }
  return jsonReply(localEndpoints > 0 && proxyHealthy ? 200 : 503, JSON.stringify(body, undefined, '\t'), {
    'X-Load-Balancing-Endpoint-Weight': String(localEndpoints),
  })
}
