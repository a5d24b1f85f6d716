import { describe, expect, it } from 'vitest'
import { TestClock } from '../../test/kernel/sync-clock.ts'
import { cluster, plain, put, putSlice, sliceOf, withEndpoints } from '../../test/kernel/sync-cluster.ts'
import { dumpTable } from '../../test/kernel/sync-dump.ts'
import { TestClient } from '../../test/kernel/sync-faults.ts'
import { Rig, type RigOptions } from '../../test/kernel/sync-rig.ts'
import { ip, service } from '../../test/property/track-objects.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { FakeNft } from '../kernel/nft/fake.ts'
import type { ModelChange } from '../model/change.ts'

const lost = new KernelError({ code: 'io', op: 'commit' })

/** A loop that runs on a fake kernel, in a time of its own. */
class Scene {
  readonly clock = new TestClock()
  readonly kernel = new FakeNft()
  readonly client = new TestClient(this.kernel)
  readonly rig: Rig
  readonly stop = new AbortController()
  readonly work = new AbortController()
  readonly ended: Promise<void>

  constructor(options: Partial<RigOptions> = {}, changes: readonly ModelChange[] = cluster) {
    this.rig = new Rig({ client: this.client, clock: this.clock, ...options })
    this.rig.tracker.apply(changes)
    this.ended = this.rig.loop.run(this.stop.signal, this.work.signal)
  }

  /** What the loop told since `from`, as `name family detail`. */
  log(from = 0): readonly string[] {
    return this.rig.told.slice(from).flatMap((told) => {
      switch (told.name) {
        case 'applied':
          return [`applied ${told.event.family} ${told.event.kind}`]
        case 'failed':
          return [`failed ${told.event.family} ${told.event.code}, again in ${told.event.retryInMs}`]
        case 'driftRepaired':
          return [`repaired ${told.event.family} ${told.event.reason}`]
        case 'cleanupFailed':
          return [`cleanup failed ${told.event.family} ${told.event.code}`]
        default:
          return []
      }
    })
  }

  /** Refuses every commit to one table until told otherwise. */
  break(family: 'ip' | 'ip6' | undefined): void {
    this.client.beforeCommit = (batch) => {
      if (batch.family === family) throw lost
    }
  }

  async tables(): Promise<unknown> {
    return [await dumpTable(this.kernel, 'ip'), await dumpTable(this.kernel, 'ip6')]
  }
}

/** What a fresh start with these objects writes. */
const tablesOf = async (changes: readonly ModelChange[]): Promise<unknown> => {
  const fresh = new Scene({}, changes)
  await fresh.clock.advance(2000)
  return await fresh.tables()
}

const both = (what: string): readonly string[] => [`applied IPv4 ${what}`, `applied IPv6 ${what}`]

describe('a change', () => {
  it('is applied at once when nothing is in flight', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    expect(scene.log()).toEqual(both('full'))
    const before = scene.rig.told.length
    scene.rig.apply(...plain(7))
    await scene.clock.advance(0)
    expect(scene.log(before)).toEqual(both('partial'))
  })

  it('waits for the commit in flight, together with all that come meanwhile', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    const before = scene.rig.told.length
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    scene.client.beforeCommit = () => gate
    scene.rig.apply(...plain(7))
    await scene.clock.advance(0)
    for (let n = 8; n < 20; n++) scene.rig.apply(...plain(n))
    await scene.clock.advance(500)
    expect(scene.log(before)).toEqual([])
    release()
    await scene.clock.advance(0)
    expect(scene.log(before)).toEqual([...both('partial'), ...both('partial')])
    await scene.clock.advance(2000)
    const objects = Array.from({ length: 13 }, (_, i) => plain(7 + i)).flat()
    expect(await scene.tables()).toEqual(await tablesOf([...cluster, ...objects]))
  })

  it('waits out minSyncPeriod, counted from the end of the last sync', async () => {
    const scene = new Scene({ minSyncPeriodMs: 400 })
    await scene.clock.advance(0)
    const before = scene.rig.told.length
    for (const n of [7, 8, 9]) {
      scene.rig.apply(...plain(n))
      await scene.clock.advance(130)
    }
    expect(scene.log(before)).toEqual([])
    await scene.clock.advance(10)
    expect(scene.log(before)).toEqual(both('partial'))
    await scene.clock.advance(3000)
    scene.rig.apply(...plain(10))
    await scene.clock.advance(0)
    expect(scene.log(before)).toEqual([...both('partial'), ...both('partial')])
  })

  it('of the addresses alone writes only what depends on them', async () => {
    const scene = new Scene({
      settings: {
        bindAddress: undefined,
        nodePortAddresses: 'primary',
        loopbackNodePorts: false,
        detectLocal: { kind: 'NodeCIDR' },
        masqueradeAll: false,
        masqueradeBit: 14,
      },
    })
    await scene.clock.advance(0)
    scene.rig.setAddresses([ip('192.0.2.10')])
    await scene.clock.advance(0)
    expect(scene.rig.of('applied').slice(-2)).toMatchObject([
      { family: 'IPv4', kind: 'partial', added: 1, removed: 0 },
      { family: 'IPv6', kind: 'partial', added: 0, removed: 0 },
    ])
  })
})

describe('a failure', () => {
  it('loses nothing, is tried again ever more rarely, and takes along what came meanwhile', async () => {
    const scene = new Scene({ syncPeriodMs: 300, served: ['IPv4'] })
    await scene.clock.advance(0)
    scene.break('ip')
    const before = scene.rig.told.length
    scene.rig.apply(...plain(7))
    await scene.clock.advance(50)
    scene.rig.apply(...plain(8))
    await scene.clock.advance(1000)
    expect(scene.log(before).slice(0, 5)).toEqual(
      [50, 100, 200, 300, 300].map((ms) => `failed IPv4 io, again in ${ms}`),
    )
    scene.break(undefined)
    await scene.clock.advance(300)
    expect(scene.log(before).at(-1)).toBe('applied IPv4 full')
    await scene.clock.advance(2000)
    const fresh = new Scene({ served: ['IPv4'] }, [...cluster, ...plain(7), ...plain(8)])
    await fresh.clock.advance(2000)
    expect(await scene.tables()).toEqual(await fresh.tables())
  })

  it('leaves the processor alone until the retry, also when there is something to tidy', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    scene.break('ip')
    scene.rig.apply(...plain(7))
    await scene.clock.advance(10_000)
    expect(scene.clock.slept).toBeLessThan(40)
  })

  it('of one family does not hold up the other', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    scene.break('ip')
    const before = scene.rig.told.length
    scene.rig.apply(...plain(7))
    await scene.clock.advance(0)
    expect(scene.log(before)).toEqual(['failed IPv4 io, again in 50', 'applied IPv6 partial'])
    for (const n of [8, 9]) {
      scene.rig.apply(...plain(n))
      await scene.clock.advance(0)
    }
    expect(scene.log(before).slice(2)).toEqual(['applied IPv6 partial', 'applied IPv6 partial'])
    await scene.clock.advance(400)
    expect(scene.log(before).slice(4)).toEqual([100, 200, 400].map((ms) => `failed IPv4 io, again in ${ms}`))
    scene.break(undefined)
    await scene.clock.advance(400)
    expect(scene.log(before).at(-1)).toBe('applied IPv4 full')
    await scene.clock.advance(2000)
    const objects = [7, 8, 9].flatMap((n) => plain(n))
    expect(await scene.tables()).toEqual(await tablesOf([...cluster, ...objects]))
  })

  it('does not make a family time a change twice', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    scene.break('ip')
    const triggered = (at: number): ModelChange =>
      ({
        ...putSlice(sliceOf('plain-1', 'IPv4', 1, 1 + (at % 3))),
        ...{ value: { ...sliceOf('plain-1', 'IPv4', 1, 1 + (at % 3)), triggeredAt: at } },
      }) as ModelChange
    const times = (family: string) =>
      scene.rig.of('applied').flatMap((event) => (event.family === family ? event.endpointTriggers : []))
    scene.rig.apply(triggered(1_700_000_000_100))
    await scene.clock.advance(60)
    scene.rig.apply(triggered(1_700_000_000_201))
    await scene.clock.advance(0)
    scene.break(undefined)
    await scene.clock.advance(1000)
    expect(times('IPv6')).toEqual([1_700_000_000_100, 1_700_000_000_201])
    expect(times('IPv4')).toEqual([1_700_000_000_100, 1_700_000_000_201])
  })

  it('does not hide that somebody else wrote, nor is it hidden', async () => {
    const scene = new Scene({ served: ['IPv4'] })
    await scene.clock.advance(0)
    scene.break('ip')
    scene.rig.apply(...plain(7))
    await scene.clock.advance(0)
    scene.rig.loop.distrust('IPv4', 'elementsChanged')
    scene.break(undefined)
    const before = scene.rig.told.length
    await scene.clock.advance(50)
    expect(scene.log(before)).toEqual(['applied IPv4 full', 'repaired IPv4 elementsChanged'])
  })

  it('between script and batch leaves no chain with the rules of the old host', async () => {
    const scene = new Scene({ served: ['IPv4'] })
    await scene.clock.advance(0)
    const [nodeChange] = cluster
    const moved = {
      ...nodeChange,
      value: { ...nodeChange?.value, podCidrs: ['10.9.0.0/16'] },
    } as unknown as ModelChange
    scene.break('ip')
    scene.rig.apply(moved)
    await scene.clock.advance(0)
    expect(scene.client.scripts, 'the script is in').toBe(2)
    scene.break(undefined)
    await scene.clock.advance(2000)
    const fresh = new Scene({ served: ['IPv4'] }, [...cluster, moved])
    await fresh.clock.advance(2000)
    expect(await scene.tables()).toEqual(await fresh.tables())
  })
})

describe('the end', () => {
  it('comes after the sync in flight', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    const before = scene.rig.told.length
    let release = (): void => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    scene.client.beforeCommit = () => gate
    scene.rig.apply(...plain(7))
    await scene.clock.advance(0)
    scene.stop.abort()
    await scene.clock.advance(100)
    release()
    await scene.ended
    expect(scene.log(before)).toEqual(both('partial'))
  })

  it('comes at once while nothing is to be done, or while a retry is waited for', async () => {
    const idle = new Scene()
    await idle.clock.advance(0)
    idle.stop.abort()
    await idle.ended
    const failing = new Scene()
    failing.break('ip')
    await failing.clock.advance(0)
    failing.stop.abort()
    await failing.ended
  })

  it('may cut a sync short: that is no failure to report', async () => {
    const scene = new Scene()
    await scene.clock.advance(0)
    const before = scene.rig.told.length
    scene.client.beforeCommit = () => scene.work.signal.throwIfAborted()
    scene.rig.apply(...plain(7))
    scene.work.abort()
    scene.stop.abort()
    await scene.ended
    expect(scene.log(before)).toEqual([])
  })
})

describe('now and then', () => {
  it('what is unused is tidied away, a second after it became so', async () => {
    const scene = new Scene({ served: ['IPv4'] })
    await scene.clock.advance(1500)
    const chains = async () => (await scene.kernel.chains({ family: 'ip', name: 'weir' }, scene.work.signal)).length
    const before = await chains()
    scene.rig.apply(
      put(
        service('ns/hashed', {
          clusterIPs: [ip('10.96.0.9')],
          scheduling: { scheduler: 'sh', flags: [], weights: undefined },
        }),
      ),
      ...withEndpoints('hashed', 9, 2),
    )
    await scene.clock.advance(0)
    expect(await chains()).toBe(before + 1)
    scene.rig.apply(...withEndpoints('hashed', 9, 0))
    await scene.clock.advance(900)
    expect(await chains()).toBe(before + 1)
    await scene.clock.advance(100)
    expect(await chains()).toBe(before)
  })

  it('tidying that fails is told, and tried again after the sync period', async () => {
    const scene = new Scene({ served: ['IPv4'], syncPeriodMs: 5000 })
    await scene.clock.advance(1500)
    scene.rig.apply(...withEndpoints('sticky', 2, 0))
    await scene.clock.advance(0)
    scene.break('ip')
    const before = scene.rig.told.length
    await scene.clock.advance(1000)
    expect(scene.log(before)).toEqual(['cleanup failed IPv4 io'])
    scene.break(undefined)
    await scene.clock.advance(5000)
    expect(scene.log(before)).toEqual(['cleanup failed IPv4 io'])
    expect(await scene.tables()).toMatchObject([{ rules: { 'random-upto4': {} } }, undefined])
    expect(Object.keys((await dumpTable(scene.kernel, 'ip'))?.rules ?? {})).not.toContain('random-upto4-sticky')
  })

  it('the kernel is compared if somebody else may have written, and only then', async () => {
    const scene = new Scene({ syncPeriodMs: 1000 })
    await scene.clock.advance(5500)
    expect(scene.log()).toEqual(both('full'))
    await scene.kernel.runText('add table ip other\n', scene.work.signal)
    await scene.clock.advance(1000)
    expect(scene.log().slice(2, 6)).toEqual([
      'applied IPv4 full',
      'repaired IPv4 periodic',
      'applied IPv6 full',
      'repaired IPv6 periodic',
    ])
    await scene.clock.advance(5000)
    expect(scene.log()).toHaveLength(6)
  })
})
