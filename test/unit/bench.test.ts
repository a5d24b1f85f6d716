import { describe, expect, it } from 'vitest'
import { podCapacity, podPlace } from '../../bench/cluster/addresses.ts'
import { ChangeStream, changeKinds, membersOf } from '../../bench/cluster/changes.ts'
import { type ClusterSpec, synthesize } from '../../bench/cluster/cluster.ts'
import { clusterObjects, sliceChange } from '../../bench/cluster/objects.ts'
import { kubeProxyChange, kubeProxyTable, nameHash } from '../../bench/kube-proxy/layout.ts'
import { parseOptions, UsageError } from '../../bench/options.ts'
import { figure, Report } from '../../bench/report.ts'
import { extrapolated } from '../../bench/sections/kube-proxy.ts'
import { summarise } from '../../bench/stats.ts'
import { desiredStates } from '../../src/desired/service-states.ts'
import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { schedulers } from '../../src/model/scheduling.ts'
import { Tracker } from '../../src/track/tracker.ts'

const spec: ClusterSpec = { seed: 7, services: 250, endpoints: 8 }

describe('the synthetic cluster', () => {
  it('follows from its seed', () => {
    expect(clusterObjects(spec)).toEqual(clusterObjects(spec))
    expect(clusterObjects({ ...spec, seed: 8 })).not.toEqual(clusterObjects(spec))
  })

  it('gives every Service, pod and NodePort an address of its own', () => {
    const services = [...synthesize(spec)]
    const unique = (list: readonly unknown[]): number => new Set(list).size
    expect(unique(services.map(({ clusterIP }) => clusterIP))).toBe(spec.services)
    expect(unique(services.flatMap(({ members }) => members.map(({ ip }) => ip)))).toBe(spec.services * spec.endpoints)
    const nodePorts = services.flatMap(({ nodePort }) => nodePort ?? [])
    expect([nodePorts.length, unique(nodePorts)]).toEqual([3, 3])
    expect(podPlace(podCapacity - 1).ip).not.toBe(podPlace(0).ip)
    expect(podPlace(podCapacity)).toEqual(podPlace(0))
  })

  it('is without conflicts, and gives each Service its endpoints', () => {
    const { tracker, problems } = tracked()
    expect(problems).toEqual([])
    expect(tracker.serviceCount).toBe(spec.services)
    const context = {
      family: 'IPv4',
      nodeName: 'node-0',
      zone: 'zone-a',
      nodeIP: undefined,
      owns: (claim: Parameters<Tracker['owns']>[0]) => tracker.owns(claim),
      supportedSchedulers: new Set(schedulers),
    } as const
    const states = [...tracker.services()].flatMap((service) =>
      desiredStates(service, tracker.slicesOf(service.key), context),
    )
    expect(states.map(({ cluster }) => cluster.length)).toEqual(Array.from({ length: spec.services }, () => 8))
    expect(states.some(({ cluster }) => cluster.some(({ local }) => local))).toBe(true)
  })
})

describe('the stream of changes', () => {
  it('follows from its seed', () => {
    const names = (seed: number) => {
      const { stream } = tracked(seed)
      return Array.from({ length: 50 }, (_, i) => stream.next(changeKinds[i % 4] ?? 'replaced')?.['endpoints'])
    }
    expect(names(1)).toEqual(names(1))
    expect(names(2)).not.toEqual(names(1))
  })

  it.each([
    ['replaced', 8, 8, 1],
    ['removed', 7, 7, 0],
    ['added', 9, 9, 1],
    ['readiness', 8, 7, 0],
  ] as const)('%s: of 8 endpoints %i are left, %i of them ready, %i of them new', (kind, all, ready, fresh) => {
    const { stream } = tracked()
    const [before] = slices()
    if (before === undefined) throw new Error('no slice')
    const changed = stream.change(before, kind)
    const after = membersOf(sliceOf(sliceChange(changed)))
    const known = new Set(before.endpoints.map(({ ip }) => `${ip}`))
    expect(after).toHaveLength(all)
    expect(after.filter((one) => one.ready)).toHaveLength(ready)
    expect(after.filter(({ ip }) => !known.has(ip))).toHaveLength(fresh)
  })

  it('can go on for ever: every change is one, and Services stay what they are', () => {
    const { tracker, stream } = tracked()
    for (let i = 0; i < 4000; i++) {
      const kind = changeKinds[i % changeKinds.length] ?? 'replaced'
      const manifest = stream.next(kind)
      expect(manifest, kind).toBeDefined()
      tracker.take()
      tracker.commit()
      tracker.apply([sliceChange(manifest)])
      expect(tracker.endpointChangesPending, kind).toBe(1)
    }
    for (const { key } of tracker.services()) {
      const [slice] = tracker.slicesOf(key)
      const ready = slice?.endpoints.filter((one) => one.ready).length ?? 0
      expect(ready).toBeGreaterThanOrEqual(6)
      expect(slice?.endpoints.length).toBeLessThanOrEqual(12)
    }
  })
})

describe("kube-proxy's layout", () => {
  it('names chains as kube-proxy does', () => {
    expect(nameHash('ns1/svc1/tcp/p80')).toBe('ULMVA6XW')
    expect(nameHash('ns1/svc1/tcp/p80__10.180.0.1/80')).toBe('5OJB2KTY')
  })

  it('has one chain with all endpoints per Service, and changes only that', () => {
    const [service] = synthesize({ seed: 1, services: 1, endpoints: 3 })
    if (service === undefined) throw new Error('no service')
    const pick = /dnat ip addr \. port to numgen random mod (\d) map \{ (.*) \}/
    const [, slots, endpoints = ''] = pick.exec(kubeProxyTable([service])) ?? []
    expect([slots, endpoints.split(' , ').length]).toEqual(['3', 3])
    const change = kubeProxyChange(service, service.members.slice(1)).trim().split('\n')
    expect(change.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
      'add chain',
      'flush chain',
      'add rule',
    ])
    expect(pick.exec(change[2] ?? '')?.[1]).toBe('2')
  })

  it('extrapolates by a power law', () => {
    const times = [
      { services: 100, ms: 10 },
      { services: 200, ms: 40 },
    ]
    expect(extrapolated(times, 400)).toBeCloseTo(160)
    expect(extrapolated(times.slice(1), 400)).toBe(0)
  })
})

describe('figures', () => {
  it('are samples: nearest rank', () => {
    const samples = Array.from({ length: 200 }, (_, i) => 200 - i)
    expect(summarise(samples)).toEqual({ n: 200, min: 1, p50: 100, p99: 198, max: 200 })
    expect(summarise([5])).toEqual({ n: 1, min: 5, p50: 5, p99: 5, max: 5 })
    expect(() => summarise([])).toThrow(RangeError)
  })

  it.each([
    [0, '0'],
    [0.01234, '0.0123'],
    [0.1, '0.100'],
    [1.234, '1.23'],
    [99.96, '100'],
    [12_345.6, '12,346'],
  ])('%f is shown as %s', (value, text) => {
    expect(figure(value)).toBe(text)
  })

  it('are shown beside their targets, met or not', () => {
    let printed = ''
    const report = new Report((text) => {
      printed += text
    })
    report.begin('Group', '0.00')
    report.add('fast', 'ms', [1, 2, 3], { targets: [{ of: 'p50', atMost: 2 }] })
    report.add('slow', 'ms', [1, 2, 3], { targets: [{ of: 'max', atMost: 2 }] })
    expect(printed).toContain('fast, ms')
    expect(report.targets()).toMatch(/fast, median +target ≤ 2\.00 ms +2\.00 ms +met\n +slow, max .*3\.00 ms +missed/)
  })
})

describe('options', () => {
  it('have defaults', () => {
    expect(parseOptions([], 'out.json')).toMatchObject({ services: 20_000, endpoints: 8, seed: 1, json: 'out.json' })
    expect(parseOptions(['--quick'], '')).toMatchObject({ services: 2_000, quick: true })
    expect(parseOptions(['-h'], '')).toBe('help')
  })

  it('run the named sections in their own order', () => {
    expect(parseOptions(['--only', 'connect,sync'], '')).toMatchObject({ sections: ['sync', 'connect'] })
    expect(parseOptions(['--only=cli', '--only=sync'], '')).toMatchObject({ sections: ['sync', 'cli'] })
  })

  it.each([
    [['--only', 'cold']],
    [['--services', '0']],
    [['--services', 'many']],
    [['--endpoints', '101']],
    [['--services', '20000', '--endpoints', '50']],
    [['--fast']],
    [['extra']],
  ])('refuse %j', (argv) => {
    expect(() => parseOptions(argv, '')).toThrow(UsageError)
  })
})

const sliceOf = (change: ReturnType<typeof sliceChange>): EndpointSlice => {
  if (change.kind !== 'slice' || change.value === undefined) throw new Error('no slice')
  return change.value
}

const slices = (): readonly EndpointSlice[] =>
  clusterObjects(spec).flatMap((change) => (change.kind === 'slice' ? [sliceOf(change)] : []))

const tracked = (seed = 1) => {
  const tracker = new Tracker({ startedAt: 0 })
  const problems = tracker.apply(clusterObjects(spec))
  const current = [...tracker.services()].map(({ key }) => () => {
    const [slice] = tracker.slicesOf(key)
    if (slice === undefined) throw new Error(`${key} has no slice`)
    return slice
  })
  return { tracker, problems, stream: new ChangeStream({ ...spec, seed }, current) }
}
