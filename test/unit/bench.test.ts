import { describe, expect, it } from 'vitest'
import { podCapacity, podPlace } from '../../bench/cluster/addresses.ts'
import { ChangeStream, changeKinds, membersOf } from '../../bench/cluster/changes.ts'
import { type ClusterSpec, synthesize } from '../../bench/cluster/cluster.ts'
import { clusterObjects, serviceChange, sliceChange } from '../../bench/cluster/objects.ts'
import { figureLine, readFigures } from '../../bench/ipvs/figures.ts'
import { tableOf } from '../../bench/ipvs/table.ts'
import { Traffic } from '../../bench/ipvs/traffic.ts'
import { WeightChanges } from '../../bench/ipvs/weights.ts'
import { kubeProxyChange, kubeProxyTable, nameHash } from '../../bench/kube-proxy/layout.ts'
import { parseOptions, UsageError } from '../../bench/options.ts'
import { figure, Report } from '../../bench/report.ts'
import { extrapolated } from '../../bench/sections/kube-proxy.ts'
import { summarise } from '../../bench/stats.ts'
import { desiredStates } from '../../src/desired/service-states.ts'
import { FakeIpvs } from '../../src/kernel/ipvs/fake-ipvs.ts'
import type { IpvsChange } from '../../src/kernel/ipvs/ipvs.ts'
import { NLM_F_ACK, NLM_F_DUMP } from '../../src/kernel/netlink/constants.ts'
import { encodeRequest } from '../../src/kernel/netlink/request.ts'
import { ScriptedTransport } from '../../src/kernel/netlink/scripted-transport.ts'
import type { EndpointSlice } from '../../src/model/endpoint-slice.ts'
import { schedulers } from '../../src/model/scheduling.ts'
import { Tracker } from '../../src/track/tracker.ts'
import { ip } from '../support/lvs.ts'

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

describe('what cannot be run', () => {
  it('is said at once, and again at the end', () => {
    let printed = ''
    const report = new Report((text) => {
      printed += text
    })
    expect(report.omissions()).toBe('')
    report.notRun('ipvs', 'no guest\nand more')
    expect(printed).toContain('NOT RUN: ipvs: no guest\nand more')
    expect(report.omissions()).toBe('NOT RUN: ipvs: no guest\n')
    expect(report.skipped).toEqual([{ group: 'ipvs', why: 'no guest\nand more' }])
  })
})

describe('mode ipvs', () => {
  const never = new AbortController().signal

  it('tells listings from other requests, over all sockets', async () => {
    const traffic = new Traffic()
    const sockets: ScriptedTransport[] = []
    const open = traffic.counting(() => {
      const socket = new ScriptedTransport()
      sockets.push(socket)
      return socket
    })
    const [one, other] = [open(), open()]
    one.send(encodeRequest({ op: '', type: 20 }, NLM_F_ACK, 1))
    const before = traffic.sent
    one.send(encodeRequest({ op: '', type: 20 }, NLM_F_DUMP, 2))
    await other.sendAsync(encodeRequest({ op: '', type: 20 }, 0, 1), never)
    expect(traffic.sent).toEqual({ requests: 2, listings: 1 })
    expect(traffic.since(before)).toEqual({ requests: 1, listings: 1 })
    expect(sockets.map(({ sent }) => sent.length)).toEqual([2, 1])
  })

  it('takes down a table so that it can be loaded again', async () => {
    const id = { kind: 'address', protocol: 'TCP', ip: ip('10.0.0.1'), port: 80 } as const
    const shape = { scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix: 32 }
    const load = { forwarding: 'masquerade', weight: 3, upperThreshold: 0, lowerThreshold: 0 } as const
    const changes: readonly IpvsChange[] = [
      { kind: 'addVirtualServer', server: { id, ...shape } },
      { kind: 'addRealServer', id, server: { ip: ip('10.1.0.1'), port: 8080, ...load } },
    ]
    const ipvs = new FakeIpvs()
    expect(await ipvs.apply(changes, never)).toEqual([])
    expect(await tableOf(ipvs, never)).toEqual(changes)
  })

  it('gives one endpoint after the other a weight that it did not have', () => {
    const { tracker } = tracked()
    const services = [...synthesize(spec)].slice(0, 2)
    const readers = [...tracker.services()].map(({ key }) => () => {
      const [slice] = tracker.slicesOf(key)
      if (slice === undefined) throw new Error(`${key} has no slice`)
      return slice
    })
    const weights = new WeightChanges(services, readers)
    const made = Array.from({ length: 4 }, () => {
      const change = serviceChange(JSON.parse(JSON.stringify(weights.next())))
      if (change.kind !== 'service' || change.value === undefined) throw new Error('no Service')
      return [change.key, [...(change.value.scheduling.weights ?? [])]] as const
    })
    const first = services.map(({ namespace, name, members }) => [`${namespace}/${name}`, members[0]?.ip] as const)
    expect(made).toEqual([2, 3].flatMap((weight) => first.map(([key, address]) => [key, [[address, weight]]])))
  })

  it('hands figures over among whatever else is printed', () => {
    const figures = [
      { name: 'load', unit: 'ms', samples: [1, 2.5] },
      { name: 'ratio', unit: '×', samples: [0.1], targets: [{ of: 'p50', atMost: 0.5 }], note: 'a note' },
    ] as const
    expect(readFigures(`booting\n${figures.map(figureLine).join('noise\n')}`)).toEqual(figures)
  })
})

describe('options', () => {
  it('have defaults', () => {
    expect(parseOptions([], 'out.json')).toMatchObject({ services: 20_000, endpoints: 8, seed: 1, json: 'out.json' })
    expect(parseOptions(['--quick'], '')).toMatchObject({ services: 2_000, quick: true, ipvs: { services: 2_000 } })
    expect(parseOptions(['--ipvs-services=100'], '')).toMatchObject({ services: 20_000, ipvs: { services: 100 } })
    expect(parseOptions(['-h'], '')).toBe('help')
  })

  it('run the named sections in their own order', () => {
    expect(parseOptions(['--only', 'connect,sync'], '')).toMatchObject({ sections: ['sync', 'connect'] })
    expect(parseOptions(['--only=cli', '--only=sync'], '')).toMatchObject({ sections: ['sync', 'cli'] })
  })

  it.each([
    [['--only', 'cold']],
    [['--services', '0']],
    [['--ipvs-services', '0']],
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
