import { afterEach, describe, expect, it } from 'vitest'
import { settle, TestClock } from '../../../test/kernel/sync-clock.ts'
import { drop, put, putSlice } from '../../../test/kernel/sync-cluster.ts'
import { endpoint, endpointPort, ip, port, service, servicePort, slice } from '../../../test/property/track-objects.ts'
import { flow, flowFrom } from '../../../test/support/flows.ts'
import type { Backend, Change, PlanSummary } from '../../backends/backend.ts'
import { FakeConntrack } from '../../kernel/conntrack/fake-conntrack.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import type { ModelChange } from '../../model/change.ts'
import type { Flow } from '../../model/flow.ts'
import type { IP } from '../../model/ip.ts'
import type { Service } from '../../model/service.ts'
import { Tracker } from '../../track/tracker.ts'
import { noopObserver, type SyncEvents } from '../events.ts'
import { FamilySync } from '../family.ts'
import { SyncLoop } from '../loop.ts'
import { TrackedDesired } from '../tracked-desired.ts'
import { FlowReconciler } from './reconciler.ts'
import { vanishedAfterMs } from './stale-connections.ts'

const { signal } = new AbortController()
const refused = new KernelError({ code: 'busy', op: 'delete flow', errno: 16 })

/** Writes nothing; `write` is awaited in place of it. */
class FakeBackend implements Backend {
  readonly name = 'nftables'
  readonly family = 'IPv4'
  readonly capabilities = {
    schedulers: new Set(['random'] as const),
    affinity: true,
    sourceRanges: true,
    sctp: true,
    localhostNodePorts: false,
  }
  write: () => Promise<void> | void = () => {}
  probe = async () => ({ kind: 'supported' }) as const
  observe = async () => ({ counts: new Map() })
  plan = (_: Change): { readonly summary: PlanSummary } => ({
    summary: { empty: false, added: 0, removed: 0, structure: false },
  })
  apply = async (): Promise<void> => await this.write()
  counts = () => new Map()
  tidy = async () => 0
  untouched = async () => true
  render = () => ''
  cleanup = async () => {}
}

const dnsPort = servicePort({ protocol: 'UDP', port: port(53), nodePort: port(30_053) })
const dns = (over: Partial<Service> = {}): ModelChange => put(service('ns/dns', { ports: [dnsPort], ...over }))
const pods = (...names: readonly string[]): ModelChange =>
  putSlice(
    slice(
      'ns/dns-1',
      names.map((name) => endpoint(name)),
      { ports: [endpointPort({ protocol: 'UDP', port: port(5353) })] },
    ),
  )
const web = (resetStaleTcp: boolean): ModelChange => {
  const plain = service('ns/web', { clusterIPs: [ip('10.96.0.2')] })
  return put({ ...plain, connections: { ...plain.connections, resetStaleTcp } })
}
const webPods = (...names: readonly string[]): ModelChange =>
  putSlice(
    slice(
      'ns/web-1',
      names.map((name) => endpoint(name)),
    ),
  )

class Rig {
  readonly clock = new TestClock()
  readonly tracker = new Tracker({ startedAt: 0 })
  readonly backend = new FakeBackend()
  readonly conntrack: FakeConntrack
  readonly reconciler: FlowReconciler
  readonly loop: SyncLoop
  readonly reconciled: SyncEvents['flowsReconciled'][] = []
  readonly failed: SyncEvents['flowsFailed'][] = []
  readonly stop = new AbortController()
  readonly ended: Promise<unknown>
  addresses: readonly IP[] = [ip('192.0.2.10')]

  constructor(flows: readonly Flow[] = [], changes: readonly ModelChange[] = []) {
    this.conntrack = new FakeConntrack(flows)
    const { clock, tracker } = this
    const desired = new TrackedDesired({
      tracker,
      settings: {
        bindAddress: undefined,
        nodePortAddresses: [],
        loopbackNodePorts: false,
        detectLocal: { kind: 'NodeCIDR' },
        masqueradeAll: false,
        masqueradeBit: 14,
      },
      nodeName: 'here',
      supportedSchedulers: this.backend.capabilities.schedulers,
      interfaceAddresses: () => this.addresses,
    })
    const sync = new FamilySync(this.backend, desired, clock)
    const observer = {
      ...noopObserver,
      flowsReconciled: (event: SyncEvents['flowsReconciled']) => void this.reconciled.push(event),
      flowsFailed: (event: SyncEvents['flowsFailed']) => void this.failed.push(event),
    }
    this.reconciler = new FlowReconciler({
      sync,
      tracker,
      table: this.conntrack,
      clock,
      observer,
      loopbackNodePorts: false,
      random: () => 0,
    })
    this.loop = new SyncLoop({
      tracker,
      families: [sync],
      observer,
      clock,
      syncPeriodMs: 3_600_000,
      minSyncPeriodMs: 0,
      random: () => 0,
      afterSync: () => {},
      writes: new Map([['IPv4', this.reconciler]]),
    })
    tracker.apply(changes)
    this.ended = Promise.all([this.loop.run(this.stop.signal, this.stop.signal), this.reconciler.run(this.stop.signal)])
    rigs.push(this)
  }

  async apply(...changes: readonly ModelChange[]): Promise<void> {
    this.tracker.apply(changes)
    this.loop.notify()
    await this.clock.advance(0)
  }

  /** Entries that are there, as `destination target` in the order of their making. */
  get left(): readonly Flow[] {
    return [...this.conntrack.table]
  }
}

const rigs: Rig[] = []
afterEach(async () => {
  for (const rig of rigs.splice(0)) {
    rig.stop.abort()
    await rig.ended
  }
})

const live = flow('10.96.0.1:53', '10.0.0.1:5353')
const stale = flow('10.96.0.1:53', '10.0.0.2:5353')
const older = flow('192.0.2.10:30053')
const foreign = flow('8.8.8.8:53')
const all = [live, stale, older, foreign]

describe('stale flows are deleted', () => {
  it('after the first write, and what is live stays', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    await rig.clock.advance(0)
    expect(rig.left).toEqual([live, foreign])
    expect(rig.reconciled).toMatchObject([{ family: 'IPv4', deleted: 2 }])
  })

  it.each([
    ['an endpoint goes', [dns(), pods('10.0.0.1', '10.0.0.2')], [pods('10.0.0.1')]],
    ['the Service comes', [pods('10.0.0.1')], [dns()]],
  ] as const)('after a write, when %s', async (_, before, after) => {
    const rig = new Rig([], before)
    await rig.clock.advance(100)
    for (const one of [live, stale, foreign]) rig.conntrack.table.add(one)
    await rig.apply(...after)
    await rig.clock.advance(100)
    expect(rig.left).toEqual([live, foreign])
  })

  it('of a Service that is removed', async () => {
    const rig = new Rig([live, foreign], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(0)
    expect(rig.left).toEqual([live, foreign])
    await rig.apply(drop('ns/dns'))
    await rig.clock.advance(100)
    expect(rig.left).toEqual([foreign])
    const { reads } = rig.conntrack
    await rig.apply(pods('10.0.0.2'))
    await rig.clock.advance(1_000)
    expect(rig.conntrack.reads).toBe(reads)
  })

  it('when the node gets an address', async () => {
    const there = flow('192.0.2.11:30053')
    const rig = new Rig([there], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    expect(rig.left).toEqual([there])
    rig.addresses = [ip('192.0.2.10'), ip('192.0.2.11')]
    rig.loop.hostChanged()
    await rig.clock.advance(100)
    expect(rig.left).toEqual([])
  })

  it('when somebody else may have translated', async () => {
    const rig = new Rig([], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    rig.conntrack.table.add(stale)
    rig.reconciler.again()
    await rig.clock.advance(100)
    expect(rig.left).toEqual([])
  })

  it('once, where that is all that is asked for', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    rig.stop.abort()
    await rig.ended
    const again = new Rig(all, [])
    again.stop.abort()
    await again.ended
    again.tracker.apply([dns(), pods('10.0.0.1')])
    expect(await again.loop.syncOnce(signal)).toBeUndefined()
    expect(await again.reconciler.once(signal)).toBe(true)
    expect(again.left).toEqual([live, foreign])
  })
})

it('nothing is read for Services of TCP, nor where there are none', async () => {
  const rig = new Rig(all, [web(false), webPods('10.0.0.1')])
  await rig.clock.advance(1_000)
  await rig.apply(webPods())
  await rig.clock.advance(10_000)
  expect(rig.conntrack.reads).toBe(0)
  expect(rig.left).toEqual(all)
})

describe('a write', () => {
  it('that has not succeeded yet deletes nothing', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    let done = (): void => {}
    rig.backend.write = () =>
      new Promise((resolve) => {
        done = resolve
      })
    await rig.clock.advance(1_000)
    expect([rig.conntrack.reads, rig.left]).toEqual([0, all])
    done()
    await settle()
    await rig.clock.advance(0)
    expect(rig.left).toEqual([live, foreign])
  })

  it('that fails deletes nothing', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    rig.backend.write = () => Promise.reject(new KernelError({ code: 'io', op: 'commit' }))
    await rig.clock.advance(1_000)
    expect([rig.conntrack.reads, rig.left]).toEqual([0, all])
    rig.backend.write = () => {}
    await rig.clock.advance(10_000)
    expect(rig.left).toEqual([live, foreign])
  })

  it('that begins while the table is read lets nothing be deleted by what was true before it', async () => {
    const rig = new Rig([], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    const moved = flow('10.96.0.1:53', '10.0.0.9:5353')
    for (const one of [stale, moved, older]) rig.conntrack.table.add(one)
    let done = (): void => {}
    rig.conntrack.meanwhile = async () => {
      rig.conntrack.meanwhile = undefined
      rig.backend.write = () =>
        new Promise((resolve) => {
          done = resolve
        })
      rig.tracker.apply([pods('10.0.0.1', '10.0.0.9')])
      rig.loop.notify()
      await settle()
    }
    rig.reconciler.again()
    await rig.clock.advance(100)
    expect(rig.left).toEqual([stale, moved, older])
    done()
    await rig.clock.advance(100)
    expect(rig.left).toEqual([moved])
  })

  it('that fails while the table is read leaves everything to the pass after the next one', async () => {
    const rig = new Rig([], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    rig.conntrack.table.add(stale)
    rig.conntrack.meanwhile = async () => {
      rig.conntrack.meanwhile = undefined
      rig.backend.write = () => Promise.reject(new KernelError({ code: 'io', op: 'commit' }))
      rig.tracker.apply([pods('10.0.0.1', '10.0.0.9')])
      rig.loop.notify()
      await settle()
    }
    rig.reconciler.again()
    await rig.clock.advance(20)
    expect(rig.left).toEqual([stale])
    rig.backend.write = () => {}
    await rig.clock.advance(1_000)
    expect(rig.left).toEqual([])
  })

  it('is not held up by a table that takes long to read, and many are one reason to read it', async () => {
    const rig = new Rig([], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    const before = rig.conntrack.reads
    rig.conntrack.meanwhile = () => rig.clock.sleep(5_000, rig.stop.signal)
    let writes = 0
    rig.backend.write = () => void writes++
    for (let n = 2; n < 30; n++) {
      await rig.apply(pods('10.0.0.1', `10.0.0.${n}`))
      await rig.clock.advance(10)
    }
    expect(writes).toBe(28)
    expect(rig.conntrack.reads - before).toBe(1)
    // It took 10 s; 10 s and not five times as long are the most that it waits.
    await rig.clock.advance(9_500 + 9_000)
    expect(rig.conntrack.reads - before).toBe(1)
    await rig.clock.advance(2_000)
    expect(rig.conntrack.reads - before).toBe(2)
    await rig.clock.advance(100_000)
    expect(rig.conntrack.reads - before).toBe(2)
  })
})

describe('a second look', () => {
  const lateAnswer = flowFrom('10.96.0.1:53', '192.0.2.200:4000')

  it('finds what an answer has made that was on its way, a second later', async () => {
    const rig = new Rig([older], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    rig.conntrack.table.add(lateAnswer)
    await rig.clock.advance(800)
    expect(rig.left).toEqual([lateAnswer])
    await rig.clock.advance(200)
    expect(rig.left).toEqual([])
  })

  it('is made ever more rarely, until nothing is found', async () => {
    const rig = new Rig([older], [dns(), pods('10.0.0.1')])
    const { table } = rig.conntrack
    const readsUntil = async (ms: number): Promise<number> => {
      const before = rig.conntrack.reads
      await rig.clock.advance(ms)
      return rig.conntrack.reads - before
    }
    await rig.clock.advance(0)
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      table.add(lateAnswer)
      expect([pauseMs, await readsUntil(pauseMs - 1), await readsUntil(1)]).toEqual([pauseMs, 0, 1])
      expect(rig.left).toEqual([])
    }
    expect(await readsUntil(60_000)).toBe(1)
    expect(await readsUntil(1_000_000)).toBe(0)
  })

  it('comes a second after the last deletion, whatever its reason, and a look that finds nothing does not replace it', async () => {
    const rig = new Rig([older], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(600)
    rig.conntrack.table.add(stale)
    rig.reconciler.again()
    await rig.clock.advance(300)
    rig.reconciler.again()
    await rig.clock.advance(600)
    rig.conntrack.table.add(lateAnswer)
    const before = rig.conntrack.reads
    await rig.clock.advance(100)
    expect([rig.conntrack.reads - before, rig.left]).toEqual([1, []])
  })

  it('is not made of what is gone', async () => {
    const rig = new Rig([live], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(10)
    await rig.apply(drop('ns/dns'))
    await rig.clock.advance(100)
    const { reads } = rig.conntrack
    await rig.clock.advance(100_000)
    expect([rig.conntrack.reads - reads, rig.left]).toEqual([0, []])
  })
})

describe('a failure', () => {
  it('is told, and tried again ever more rarely, until everything is deleted', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    rig.conntrack.fail = new KernelError({ code: 'permission', op: 'list IPv4 UDP flows' })
    await rig.clock.advance(1_000)
    expect(rig.failed.map(({ retryInMs }) => retryInMs)).toEqual([50, 100, 200, 400, 800])
    expect(rig.failed[0]).toMatchObject({ family: 'IPv4', code: 'permission', op: 'list IPv4 UDP flows', deleted: 0 })
    expect(rig.reconciled).toEqual([])
    rig.conntrack.fail = undefined
    await rig.clock.advance(1_000)
    expect(rig.left).toEqual([live, foreign])
    expect(rig.reconciled).toHaveLength(1)
  })

  it('of one entry is none of the others, and that entry is tried again', async () => {
    const rig = new Rig(all, [dns(), pods('10.0.0.1')])
    rig.conntrack.busy.set(stale, refused)
    await rig.clock.advance(0)
    expect(rig.left).toEqual([live, stale, foreign])
    expect(rig.failed).toMatchObject([{ code: 'busy', deleted: 1 }])
    rig.conntrack.busy.clear()
    await rig.clock.advance(1_000)
    expect(rig.left).toEqual([live, foreign])
  })

  it('forgets no address that was given up', async () => {
    const rig = new Rig([live], [dns(), pods('10.0.0.1')])
    await rig.clock.advance(100)
    rig.conntrack.fail = new KernelError({ code: 'io', op: 'list' })
    await rig.apply(drop('ns/dns'))
    await rig.clock.advance(5_000)
    expect(rig.left).toEqual([live])
    rig.conntrack.fail = undefined
    await rig.clock.advance(10_000)
    expect(rig.left).toEqual([])
  })
})

it('an abort ends it in the middle of a reading', async () => {
  const rig = new Rig(all, [dns(), pods('10.0.0.1')])
  rig.conntrack.meanwhile = () => {
    rig.stop.abort()
  }
  await rig.clock.advance(0)
  await rig.ended
  expect(rig.left).toEqual(all)
  expect([rig.reconciled, rig.failed]).toEqual([[], []])
})

it('more stale entries than are deleted at once', async () => {
  const many = Array.from({ length: 1_234 }, () => flow('10.96.0.1:53', '10.0.0.2:5353'))
  const rig = new Rig([...many, live], [dns(), pods('10.0.0.1')])
  await rig.clock.advance(0)
  expect(rig.left).toEqual([live])
  expect(rig.reconciled).toMatchObject([{ deleted: 1_234 }])
})

it('connections to an endpoint that vanished are deleted a second later, if the Service asks for it', async () => {
  const connection = flow('10.96.0.2:80', '10.0.0.1:8080', { protocol: 'TCP' })
  const other = flow('10.96.0.2:80', '10.0.0.2:8080', { protocol: 'TCP' })
  const rig = new Rig([connection, other], [web(true), webPods('10.0.0.1', '10.0.0.2')])
  await rig.clock.advance(10_000)
  expect([rig.conntrack.reads, rig.left.length]).toEqual([0, 2])
  await rig.apply(webPods('10.0.0.2'))
  await rig.clock.advance(vanishedAfterMs - 1)
  expect(rig.left).toEqual([connection, other])
  await rig.clock.advance(1)
  expect(rig.left).toEqual([other])
  await rig.clock.advance(60_000)
  expect(rig.conntrack.reads).toBe(1)
})
