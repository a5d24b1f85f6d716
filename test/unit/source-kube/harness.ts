import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { systemClock } from '../../../src/source/kube/clock.ts'
import { createKubeSource, type KubeSource, type KubeSourceOptions } from '../../../src/source/kube/kube-source.ts'
import type { KubeEvent, ResourceStatus } from '../../../src/source/kube/resource.ts'
import { defaultTiming, type ReflectorTiming } from '../../../src/source/kube/timing.ts'
import type { FakeApiServer } from '../../apiserver/fake-api-server.ts'
import { nodeManifest } from '../../apiserver/manifests.ts'
import { RecordingSink } from './recording-sink.ts'

/** Short enough for a test, long enough for two busy cores. */
export const quickTiming: ReflectorTiming = {
  ...defaultTiming,
  backoff: { baseMs: 10, capMs: 40 },
  shortestMs: 20,
  settledMs: 500,
  absentMs: 100,
}

export interface Running {
  readonly source: KubeSource
  readonly sink: RecordingSink
  readonly events: readonly KubeEvent[]
  status(resource: string): ResourceStatus
  stop(): Promise<void>
}

export const start = (server: FakeApiServer, options: Partial<KubeSourceOptions> = {}): Running => {
  const sink = new RecordingSink()
  const events: KubeEvent[] = []
  const source = createKubeSource({
    location: { kubeconfig: undefined, master: server.url },
    nodeName: 'node-1',
    proxyName: undefined,
    allowExternalIPs: true,
    rateLimit: { qps: 1000, burst: 1000 },
    timing: quickTiming,
    clock: systemClock,
    onEvent: (event) => events.push(event),
    ...options,
  })
  const stopper = new AbortController()
  const running = source.run(sink, stopper.signal)
  return {
    source,
    sink,
    events,
    status: (resource) => {
      const status = source.status().get(resource)
      if (status === undefined) throw new Error(`no status of ${resource}`)
      return status
    },
    stop: async () => {
      stopper.abort()
      await running
    },
  }
}

/** The node that every source under test waits for. */
export const withNode = (server: FakeApiServer): FakeApiServer => {
  server.put('nodes', nodeManifest('node-1', 'zone-a'))
  return server
}

/** Waits until `check` passes; fails with its last failure after `withinMs`. */
export const eventually = async (check: () => void, withinMs = 1800): Promise<void> => {
  const giveUpAt = Date.now() + withinMs
  for (;;) {
    try {
      check()
      return
    } catch (error) {
      if (Date.now() > giveUpAt) throw error
      await sleep(5)
    }
  }
}

export const synced = (running: Running): Promise<void> =>
  eventually(() => {
    expect(running.sink.syncedCalls).toBe(1)
    for (const status of running.source.status().values()) expect(status.listed ? status.watching : true).toBe(true)
  })
