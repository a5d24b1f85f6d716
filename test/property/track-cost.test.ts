import { describe, expect, it } from 'vitest'
import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import type { Service } from '../../src/model/service.ts'
import { Tracker } from '../../src/track/tracker.ts'
import { endpoint, ip, port, service, servicePort, slice } from './track-objects.ts'
import { putService, putSlice } from './track-world.ts'

/** Counts every property that is read, so "is not touched" is a fact and not a time. */
class Watch {
  readonly reads = new Map<string, number>()

  over<T extends object>(name: string, target: T): T {
    return new Proxy(target, {
      get: (object, property, receiver) => {
        this.reads.set(name, (this.reads.get(name) ?? 0) + 1)
        return Reflect.get(object, property, receiver)
      },
    })
  }

  reset(): void {
    this.reads.clear()
  }
}

const size = 500
const watch = new Watch()
const cluster = (): Tracker => {
  const tracker = new Tracker({ startedAt: 0 })
  for (let i = 0; i < size; i++) {
    tracker.apply([putService(watch.over(`s${i}`, plainService(i))), putSlice(watch.over(`e${i}`, plainSlice(i)))])
  }
  tracker.take()
  tracker.commit()
  watch.reset()
  return tracker
}
const plainService = (i: number, over: Partial<Service> = {}): Service =>
  service(`ns/s${i}`, {
    clusterIPs: [ip(`10.96.${i >> 8}.${i & 255}`)],
    ports: [servicePort({ nodePort: port(30_000 + i) })],
    ...over,
  })
const plainSlice = (i: number, ...more: readonly string[]): EndpointSlice =>
  slice(
    `ns/s${i}-1`,
    ['10.0.0.1', ...more].map((address) => endpoint(address)),
  )

describe('the cost of one change', () => {
  it('is seen by the watch at all', () => {
    const tracker = cluster()
    tracker.apply([putService(plainService(7, { affinitySeconds: 3 }))])
    expect([...watch.reads.keys()]).toEqual(['s7'])
    expect(watch.reads.get('s7')).toBeGreaterThan(3)
  })

  it('of endpoints touches no Service and no other slice', () => {
    const tracker = cluster()
    tracker.apply([putSlice(plainSlice(7, '10.0.0.2'))])
    expect([...watch.reads.keys()]).toEqual(['e7'])
    expect([...(tracker.take()?.services ?? [])]).toEqual(['ns/s7'])
    tracker.commit()
    expect([...watch.reads.keys()]).toEqual(['e7'])
  })

  it('of a Service that takes another one’s NodePort touches these two', () => {
    const tracker = cluster()
    const older = plainService(7, { created: 1, ports: [servicePort({ nodePort: port(30_008) })] })
    expect(tracker.apply([putService(older)])).toHaveLength(1)
    expect([...watch.reads.keys()].sort()).toEqual(['s7', 's8'])
    expect([...(tracker.take()?.services ?? [])].sort()).toEqual(['ns/s7', 'ns/s8'])
  })

  it('of the Node touches none', () => {
    const tracker = cluster()
    tracker.apply([
      { kind: 'node', value: { name: 'here', addresses: [], podCidrs: [], zone: 'z', leaving: false } },
      { kind: 'serviceCidr', name: 'kubernetes', value: { name: 'kubernetes', cidrs: [] } },
    ])
    expect(tracker.take()).toMatchObject({ hostChanged: true, allServices: true })
    expect(watch.reads.size).toBe(0)
  })
})
