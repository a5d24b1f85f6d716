import { describe, expect, it } from 'vitest'
import { service, servicePort } from '../../test/property/track-objects.ts'
import type { Capabilities } from '../backends/backend.ts'
import { defaultConnections } from '../model/connections.ts'
import type { Problem } from '../model/problem.ts'
import { nothingRequested } from '../model/scheduling.ts'
import { Tracker } from '../track/tracker.ts'
import { CapabilityReports } from './capability-reports.ts'

const few: Capabilities = {
  schedulers: new Set(['random']),
  affinity: true,
  sourceRanges: true,
  sctp: false,
  localhostNodePorts: false,
}

const watch = (capabilities: Capabilities) => {
  const tracker = new Tracker({ startedAt: 0 })
  const problems: Problem[] = []
  const reports = new CapabilityReports({
    capabilities,
    backend: 'some',
    defaultScheduler: 'rr',
    report: (problem) => problems.push(problem),
  })
  return {
    apply: (over: Parameters<typeof service>[1]) => {
      const object = service('ns/web', over)
      tracker.apply([{ kind: 'service', key: object.key, value: object }])
      reports.check(object.key, tracker)
      return problems.splice(0).map(({ field, reason }) => `${field}: ${reason}`)
    },
  }
}

const asking = {
  scheduling: { ...nothingRequested, scheduler: 'wlc' },
  connections: { ...defaultConnections, proxyProtocol: true, maxConnections: 5, forwarding: 'direct' },
  ports: [servicePort({ protocol: 'SCTP' })],
} as const

describe('CapabilityReports', () => {
  it('names everything that the backend lacks, once', () => {
    const { apply } = watch(few)
    expect(apply(asking)).toEqual([
      'metadata.annotations[weir.dev/scheduler]: the some backend cannot do "wlc", so "rr" is used',
      'metadata.annotations[weir.dev/proxy-protocol]: the some backend cannot send PROXY protocol headers, so endpoints get none',
      'metadata.annotations[weir.dev/max-connections]: the some backend cannot limit connections, so there is no limit',
      'metadata.annotations[weir.dev/forwarding]: the some backend cannot forward by "direct", so "masquerade" is used',
      'spec.ports: the some backend cannot do SCTP, so ports of that protocol are not served',
    ])
    expect(apply({ ...asking, affinitySeconds: 5 })).toEqual([])
    expect(apply({ ...asking, scheduling: { ...nothingRequested, scheduler: 'sed' } })).toEqual([
      'metadata.annotations[weir.dev/scheduler]: the some backend cannot do "sed", so "rr" is used',
    ])
  })

  it('says it again after it was no longer asked for', () => {
    const { apply } = watch(few)
    expect(apply(asking)).toHaveLength(5)
    expect(apply({})).toEqual([])
    expect(apply(asking)).toHaveLength(5)
  })

  it('has nothing to say of what can be done', () => {
    const all: Capabilities = {
      ...few,
      schedulers: new Set(['wlc']),
      sctp: true,
      connectionOptions: true,
      forwarding: true,
    } as const
    expect(watch(all).apply(asking)).toEqual([])
    expect(watch(few).apply({})).toEqual([])
  })
})
