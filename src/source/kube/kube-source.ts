import type { Source } from '../source.ts'
import type { ApiError } from './api-error.ts'
import { createClient } from './client.ts'
import { type Clock, systemClock } from './clock.ts'
import { createCredentials } from './credentials.ts'
import type { KubeLocation } from './kubeconfig.ts'
import type { RateLimitOptions } from './rate-limit.ts'
import { Reflector } from './reflector.ts'
import type { KubeEvent, ResourceStatus } from './resource.ts'
import { type ResourceOptions, resourceSpecs } from './resources.ts'
import { defaultTiming, type ReflectorTiming } from './timing.ts'

export interface KubeSourceOptions extends ResourceOptions {
  readonly location: KubeLocation
  /** `clientConnection.qps` and `.burst`; kube-proxy's defaults are 5 and 10. */
  readonly rateLimit: RateLimitOptions
  readonly onEvent: (event: KubeEvent) => void
  readonly clock?: Clock
  /** Uniform in [0, 1). */
  readonly random?: () => number
  readonly timing?: ReflectorTiming
  /** Longest silence of the server before and within an answer that is no watch, milliseconds. */
  readonly answerMs?: number
}

export interface KubeSource extends Source {
  /** By resource: services, endpointslices, nodes, servicecidrs. Empty before `run`. */
  status(): ReadonlyMap<string, ResourceStatus>
}

/**
 * A live cluster. `run` may be called once; it rejects with ApiError 'unreadableKubeconfig', 'notInCluster' or
 * 'noCredentials' when it cannot even start. `synced` comes after the first whole list of each resource; an optional
 * resource is waited for only until the server's first answer of any kind.
 */
export const createKubeSource = (options: KubeSourceOptions): KubeSource => {
  const { location, rateLimit, onEvent, answerMs } = options
  const { clock = systemClock, random = Math.random, timing = defaultTiming } = options
  const specs = resourceSpecs(options)
  const reflectors = new Map<string, Reflector>()

  return {
    run: async (sink, signal) => {
      const onKept = (error: ApiError): void => onEvent({ kind: 'credentialsKept', error })
      const credentials = createCredentials({ location, clock, onKept })
      const client = createClient({ credentials, clock, rateLimit, ...(answerMs !== undefined && { answerMs }) })
      let waitingFor = specs.length
      const onAnswered = (): void => {
        waitingFor--
        if (waitingFor === 0) sink.synced()
      }
      const stop = new AbortController()
      const either = AbortSignal.any([signal, stop.signal])
      try {
        await credentials.connection(signal)
        for (const spec of specs)
          reflectors.set(spec.name, new Reflector({ client, spec, sink, onAnswered, onEvent, clock, random, timing }))
        await Promise.all([...reflectors.values()].map((reflector) => reflector.run(either)))
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        stop.abort()
        client.close()
      }
    },
    status: () => new Map([...reflectors].map(([name, reflector]) => [name, reflector.status()])),
  }
}
