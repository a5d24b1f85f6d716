import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { SourceMetrics } from '../observe/metrics/weir-metrics.ts'
import { createFileSource } from '../source/files/file-source.ts'
import { createKubeSource } from '../source/kube/kube-source.ts'
import type { KubeEvent } from '../source/kube/resource.ts'
import type { Source } from '../source/source.ts'

/** A folder of manifests if one was named, else the cluster that the configuration leads to. */
export const createSource = (config: Config, nodeName: string, metrics: SourceMetrics, logger: Logger): Source => {
  const options = { nodeName, proxyName: config.serviceProxyName, allowExternalIPs: config.allowExternalIPs }
  if (config.manifests.length > 0) return createFileSource({ ...options, directories: config.manifests })
  const { kubeconfig, master, qps, burst } = config.client
  return createKubeSource({
    ...options,
    location: {
      kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
      master: master === '' ? undefined : master,
      env: process.env,
    },
    rateLimit: { qps, burst },
    onEvent: (event) => report(event, metrics, logger),
  })
}

const report = (event: KubeEvent, metrics: SourceMetrics, logger: Logger): void => {
  switch (event.kind) {
    case 'listed':
      metrics.connected(event.resource)
      if (event.relist) metrics.relisted(event.resource)
      logger.info({ resource: event.resource, objects: event.objects }, 'Listed')
      return
    case 'relisting':
      logger.info({ resource: event.resource, err: event.error.message }, 'The watch cannot go on: listing again')
      return
    case 'failed':
      metrics.disconnected(event.resource)
      logger.warn(
        { resource: event.resource, err: event.error.message, retryInMs: Math.round(event.retryMs) },
        'No connection to the API server: the node keeps what it has',
      )
      return
    case 'absent':
      logger.info({ resource: event.resource, err: event.error.message }, 'Not served by this API server')
      return
    case 'credentialsKept':
      logger.warn({ err: event.error.message }, 'Could not read the credentials again: using the last ones')
      return
    default:
      event satisfies never
  }
}
