import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ModelChange } from '../../src/model/change.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { ServiceKey } from '../../src/model/names.ts'
import { Tracker } from '../../src/track/tracker.ts'
import { anyChange, anyPut, computed, everything, subject } from './track-world.ts'

const fresh = (changes: Iterable<ModelChange>): Tracker => {
  const tracker = new Tracker({ startedAt: 10 })
  tracker.apply([...changes])
  return tracker
}

/** The last word on every object, in the order of first mention. */
const final = (changes: readonly ModelChange[]): readonly ModelChange[] => [
  ...new Map(changes.map((change) => [subject(change), change])).values(),
]

const params = { seed: 20_251_120, numRuns: 400 } as const

describe('any order of the same objects', () => {
  it('gives equal states, health checks and ServiceCIDRs', () => {
    let conflicts = 0
    fc.assert(
      fc.property(
        fc
          .uniqueArray(anyPut, { selector: subject, minLength: 4, maxLength: 24 })
          .chain((objects) =>
            fc.tuple(
              fc.constant(objects),
              fc.shuffledSubarray(objects, { minLength: objects.length }),
              fc.array(fc.nat(5), { minLength: 1, maxLength: 8 }),
            ),
          ),
        ([objects, shuffled, sizes]) => {
          const expected = fresh(objects)
          const tracker = new Tracker({ startedAt: 10 })
          for (let at = 0, i = 0; at < shuffled.length; i++) {
            const size = (sizes[i % sizes.length] ?? 0) + 1
            conflicts += tracker.apply(shuffled.slice(at, at + size)).length
            at += size
          }
          expect(everything(tracker)).toEqual(everything(expected))
          expect(tracker.serviceCidrs()).toEqual(expected.serviceCidrs())
        },
      ),
      params,
    )
    expect(conflicts, 'the generated clusters have conflicts').toBeGreaterThan(300)
  })
})

type Step =
  | { readonly kind: 'apply'; readonly batch: readonly ModelChange[] }
  | { readonly kind: 'sync'; readonly meanwhile: readonly ModelChange[]; readonly fails: boolean }

const batch = fc.array(anyChange, { minLength: 1, maxLength: 4 })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  batch.map((changes): Step => ({ kind: 'apply', batch: changes })),
  fc
    .record({ meanwhile: fc.array(anyChange, { maxLength: 4 }), fails: fc.boolean() })
    .map(({ meanwhile, fails }): Step => ({ kind: 'sync', meanwhile, fails })),
)

/** Writes only what the dirty set names; a failing write writes nothing. */
class Applier {
  readonly tracker = new Tracker({ startedAt: 10 })
  readonly applied = new Map<ServiceKey, readonly unknown[]>()
  computations = 0
  naive = 0

  /** False when there was nothing to do. */
  sync(meanwhile: readonly ModelChange[], fails: boolean): boolean {
    const { tracker } = this
    const dirty = tracker.take()
    if (dirty === undefined) {
      tracker.apply(meanwhile)
      return false
    }
    const keys = new Set(dirty.services)
    if (dirty.allServices) for (const { key } of tracker.services()) keys.add(key)
    const results = [...keys].map((key) => [key, computed(tracker, key)] as const)
    this.computations += [...keys].filter((key) => tracker.service(key) !== undefined).length
    this.naive += tracker.serviceCount
    tracker.apply(meanwhile)
    if (fails) {
      tracker.rollback()
      return true
    }
    for (const [key, states] of results) {
      if (states.length === 0) this.applied.delete(key)
      else this.applied.set(key, states)
    }
    tracker.commit()
    return true
  }
}

describe('any sequence of changes, with writes that fail', () => {
  it('ends where a fresh start with the final objects begins: the dirty set and rollback lose nothing', () => {
    let computations = 0
    let naive = 0
    let failures = 0
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 4, maxLength: 24 }), (steps) => {
        const applier = new Applier()
        const { tracker } = applier
        const history: ModelChange[] = []
        for (const step of steps) {
          if (step.kind === 'apply') {
            tracker.apply(step.batch)
            history.push(...step.batch)
          } else {
            if (applier.sync(step.meanwhile, step.fails) && step.fails) failures++
            history.push(...step.meanwhile)
          }
        }
        while (applier.sync([], false));
        computations += applier.computations
        naive += applier.naive

        const restarted = fresh(final(history))
        const last = tracker.lastNode()
        if (last !== undefined) restarted.apply([{ kind: 'node', value: last }])
        const expected = everything(restarted)
        expect(everything(tracker)).toEqual(expected)
        expect(new Map([...applier.applied].sort(([a], [b]) => (a < b ? -1 : 1)))).toEqual(expected)
        expect(tracker.serviceCidrs()).toEqual(restarted.serviceCidrs())
        expect(tracker.serviceChangesPending + tracker.endpointChangesPending).toBe(0)
      }),
      params,
    )
    expect(failures).toBeGreaterThan(100)
    expect(naive - computations, 'Services that a sync left alone').toBeGreaterThan(500)
  })
})

describe('no two Services', () => {
  it('ever have the same address or NodePort', () => {
    fc.assert(
      fc.property(fc.array(anyPut, { minLength: 4, maxLength: 24 }), (objects) => {
        const seen = new Set<string>()
        for (const states of everything(fresh(objects)).values())
          for (const state of states)
            for (const claimed of claims(state)) {
              expect(seen.has(claimed), claimed).toBe(false)
              seen.add(claimed)
            }
      }),
      params,
    )
  })
})

const isState = (value: unknown): value is ServiceState =>
  typeof value === 'object' && value !== null && 'clusterIP' in value

const claims = (value: unknown): readonly string[] => {
  if (!isState(value)) return []
  const { clusterIP, externalIPs, loadBalancerIPs, protocol, port, nodePort, family } = value
  const ips = [...(clusterIP === undefined ? [] : [clusterIP]), ...externalIPs, ...loadBalancerIPs]
  return [
    ...ips.map((ip) => `${ip} ${protocol} ${port}`),
    ...(nodePort === undefined ? [] : [`${family} ${protocol} ${nodePort}`]),
  ]
}
