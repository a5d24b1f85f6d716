import type { Config } from '../config/config.ts'
import type { SourceMetrics } from '../observe/metrics/weir-metrics.ts'
import { createFileSource } from '../source/files/file-source.ts'
import { readOnce } from '../source/files/read-once.ts'
import { createKubeSource } from '../source/kube/kube-source.ts'
import type { KubeEvent, ResourceStatus } from '../source/kube/resource.ts'
import type { Source } from '../source/source.ts'
import { describe } from './fatal.ts'

/** Why the first lists do not come. */
export interface Trouble {
  /** Since when, by {@link NodeSourceOptions.now}. */
  readonly since: number
  /** What was said last. */
  readonly message: string
}

export interface NodeSource extends Source {
  /** What keeps every cache that is not full from becoming so; undefined while there is hope for one. */
  trouble(): Trouble | undefined
  /** Brings the metrics about the connections up to date. */
  measure(): void
}

/** The part of a logger that is used here. `err` is one line. */
export interface SourceLogger {
  info(fields: SourceFields, text: string): void
  warn(fields: SourceFields & { readonly err: string }, text: string): void
}

export interface SourceFields {
  readonly resource?: string
  readonly err?: string
  readonly objects?: number
  readonly retryInMs?: number
}

export interface NodeSourceOptions {
  readonly config: Config
  readonly nodeName: string
  readonly metrics: SourceMetrics
  readonly logger: SourceLogger
  /** Milliseconds that never go back. */
  readonly now: () => number
}

/** Folders of manifests if any were named, else the cluster that the configuration leads to. */
export const createSource = (options: NodeSourceOptions): NodeSource =>
  options.config.manifests.length > 0 ? createFolders(options) : createCluster(options)

const objectOptions = ({ config, nodeName }: NodeSourceOptions) => ({
  nodeName,
  proxyName: config.serviceProxyName,
  allowExternalIPs: config.allowExternalIPs,
})

const createFolders = (options: NodeSourceOptions): NodeSource => {
  const directories = options.config.manifests
  const source = createFileSource({ ...objectOptions(options), directories })
  return {
    // Following a folder means to hold back what may be a file that is just being written, faults above all.
    run: options.config.once
      ? async (sink, signal) => {
          const { changes, problems } = await readOnce(directories, objectOptions(options), signal)
          sink.changes(changes)
          for (const problem of problems) sink.problem(problem)
          sink.synced()
          await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        }
      : source.run,
    trouble: () => undefined,
    measure: () => {},
  }
}

const createCluster = (options: NodeSourceOptions): NodeSource => {
  const { config, metrics, logger, now } = options
  const { kubeconfig, master, qps, burst } = config.client
  const troubles = new Map<string, Trouble>()
  const absent = new Set<string>()
  const source = createKubeSource({
    ...objectOptions(options),
    location: {
      kubeconfig: kubeconfig === '' ? undefined : kubeconfig,
      master: master === '' ? undefined : master,
      env: process.env,
    },
    rateLimit: { qps, burst },
    onEvent: (event) => {
      if (event.kind === 'failed') {
        const since = troubles.get(event.resource)?.since ?? now()
        troubles.set(event.resource, { since, message: describe(event.error) })
      }
      if (event.kind === 'absent') absent.add(event.resource)
      if (event.kind === 'listed') absent.delete(event.resource)
      report(event, metrics, logger)
    },
  })
  return {
    run: source.run,
    trouble: () => {
      const missing = [...source.status()].filter(([resource, { listed }]) => !listed && !absent.has(resource))
      const found = missing.flatMap(([resource]) => troubles.get(resource) ?? [])
      // One that is still being listed may only be large.
      if (found.length < missing.length) return undefined
      return found.sort((a, b) => b.since - a.since)[0]
    },
    measure: createMeasure(source.status, absent, metrics),
  }
}

/** `absent`: resources that the server does not have are neither connected nor disconnected. */
const createMeasure = (
  status: () => ReadonlyMap<string, ResourceStatus>,
  absent: ReadonlySet<string>,
  metrics: SourceMetrics,
): (() => void) => {
  const counted = new Map<string, number>()
  return () => {
    for (const [resource, { watching, reconnects }] of status()) {
      if (absent.has(resource)) continue
      if (watching) metrics.connected(resource)
      else metrics.disconnected(resource)
      for (let count = counted.get(resource) ?? 0; count < reconnects; count++) metrics.reconnected(resource)
      counted.set(resource, reconnects)
    }
  }
}

const report = (event: KubeEvent, metrics: SourceMetrics, logger: SourceLogger): void => {
  switch (event.kind) {
    case 'listed':
      if (event.relist) metrics.relisted(event.resource)
      logger.info({ resource: event.resource, objects: event.objects }, 'Listed')
      return
    case 'relisting':
      logger.info({ resource: event.resource, err: describe(event.error) }, 'The watch cannot go on: listing again')
      return
    case 'failed':
      logger.warn(
        { resource: event.resource, err: describe(event.error), retryInMs: Math.round(event.retryMs) },
        'Cannot hear from the API server: the node keeps what it has',
      )
      return
    case 'absent':
      logger.info({ resource: event.resource, err: describe(event.error) }, 'Not served by this API server')
      return
    case 'credentialsKept':
      logger.warn({ err: describe(event.error) }, 'Could not read the credentials again: using the last ones')
      return
    default:
      event satisfies never
  }
}
