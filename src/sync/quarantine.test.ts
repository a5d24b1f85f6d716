import { describe, expect, it } from 'vitest'
import { TestClock } from '../../test/kernel/sync-clock.ts'
import { cluster, drop, plain, put, withEndpoints } from '../../test/kernel/sync-cluster.ts'
import { dumpTable } from '../../test/kernel/sync-dump.ts'
import { TestClient } from '../../test/kernel/sync-faults.ts'
import { Rig } from '../../test/kernel/sync-rig.ts'
import { ip, service } from '../../test/property/track-objects.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { MessageReader } from '../kernel/netlink/wire.ts'
import type { Batch } from '../kernel/nft/batch.ts'
import { NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET } from '../kernel/nft/constants.ts'
import { readName } from '../kernel/nft/decode.ts'
import { readElements } from '../kernel/nft/element.ts'
import { FakeNft } from '../kernel/nft/fake.ts'
import type { ModelChange } from '../model/change.ts'
import { addressBytes, familyOf, type IP, writeIP } from '../model/ip.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const hexOf = (address: IP): string => {
  const bytes = new Uint8Array(addressBytes(familyOf(address)))
  writeIP(address, bytes, 0)
  return hex(bytes)
}

interface Written {
  readonly op: 'add' | 'delete'
  readonly set: string
  readonly key: string
  readonly sequence: number
  readonly offset: number
}

const elementsOf = (batch: Batch): readonly Written[] => {
  const found: Written[] = []
  const bytes = batch.finish()
  const message = new MessageReader(bytes)
  while (message.next()) {
    if (message.type !== NFT_MSG_NEWSETELEM && message.type !== NFT_MSG_DELSETELEM) continue
    const set = readName(message, NFTA_SET_ELEM_LIST_SET) ?? ''
    const op = message.type === NFT_MSG_NEWSETELEM ? 'add' : 'delete'
    const { sequence, at } = message
    readElements(message, (key) => {
      found.push({ op, set, key: hex(key), sequence, offset: key.byteOffset - bytes.byteOffset - at })
    })
  }
  return found
}

/** How much a kernel says of what it refuses: new ones where in the message, old ones the message, some nothing. */
type Candour = 'offset' | 'message' | 'nothing'

class Scene {
  readonly clock = new TestClock()
  readonly kernel = new FakeNft()
  readonly client = new TestClient(this.kernel)
  readonly rig = new Rig({ client: this.client, clock: this.clock, syncPeriodMs: 30_000 })
  readonly stop = new AbortController()
  readonly everDeleted = new Set<string>()
  candour: Candour = 'offset'
  refused: readonly IP[] = []
  commits = 0

  constructor(changes: readonly ModelChange[]) {
    this.rig.tracker.apply(changes)
    this.client.beforeCommit = (batch) => this.#judge(batch)
  }

  run(): void {
    void this.rig.loop.run(this.stop.signal, this.stop.signal)
  }

  /** Both tables, sync after sync, as nothing had ever been refused; without the Services named. */
  async equals(changes: readonly ModelChange[]): Promise<void> {
    await this.rig.tidy()
    const kernel = new FakeNft()
    const fresh = new Rig({ client: kernel })
    fresh.tracker.apply(changes)
    await fresh.mustSync()
    for (const family of ['ip', 'ip6'] as const)
      expect(await dumpTable(this.kernel, family)).toEqual(await dumpTable(kernel, family))
  }

  problems(): readonly string[] {
    return this.rig
      .of('problem')
      .map(({ problem: { object }, source }) => `${source} ${object.namespace}/${object.name}`)
  }

  #judge(batch: Batch): void {
    this.commits++
    const elements = elementsOf(batch)
    const prefixes = this.refused.map(hexOf)
    const guilty = elements.find(
      ({ op, set, key }) => op === 'add' && set === 'services' && prefixes.some((prefix) => key.startsWith(prefix)),
    )
    if (guilty === undefined) {
      for (const { op, set, key } of elements) if (op === 'delete' && set === 'services') this.everDeleted.add(key)
      return
    }
    const { sequence, offset } = guilty
    const tags = { offset: batch.tagOf(sequence, offset), message: batch.tagOf(sequence), nothing: undefined }
    throw KernelError.ofErrno(`commit to ${batch.family} ${batch.table}`, 22, { tag: tags[this.candour] })
  }
}

const many = Array.from({ length: 40 }, (_, i) => plain(20 + i, 2)).flat()
const all = [...cluster, ...many]
const without = (changes: readonly ModelChange[], ...names: readonly string[]): readonly ModelChange[] => [
  ...changes,
  ...names.map((name) => drop(`ns/${name}`)),
]
const vip = (n: number): readonly IP[] => [ip(`10.96.0.${n}`), ip(`fd00::${n}`)]

describe.each(['offset', 'message', 'nothing'] as const)('a refusal of which the kernel tells the %s', (candour) => {
  it('leaves out its Service at the start, and no other', async () => {
    const scene = new Scene(all)
    scene.candour = candour
    scene.refused = vip(33)
    scene.run()
    await scene.clock.advance(0)
    expect(scene.rig.of('failed')).toHaveLength(2)
    expect(scene.problems(), 'one refusal may be a race').toEqual([])
    await scene.clock.advance(50)
    expect(scene.rig.of('applied').map(({ family, kind }) => `${family} ${kind}`)).toEqual(['IPv4 full', 'IPv6 full'])
    expect(scene.problems()).toEqual(['backend ns/plain-33', 'backend ns/plain-33'])
    expect(scene.rig.of('problem')[0]?.problem.reason).toBe(
      'left out of the IPv4 rules, because they were refused: commit to ip weir: EINVAL',
    )
    await scene.equals(without(all, 'plain-33'))
  })

  it('finds several at once', async () => {
    const scene = new Scene(all)
    scene.candour = candour
    const bad = [21, 22, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 59]
    scene.refused = bad.flatMap(vip)
    scene.run()
    await scene.clock.advance(100)
    expect(new Set(scene.problems())).toEqual(new Set(bad.map((n) => `backend ns/plain-${n}`)))
    await scene.equals(without(all, ...bad.map((n) => `plain-${n}`)))
  })

  it('takes nothing from the others when it comes later', async () => {
    const scene = new Scene(cluster)
    scene.candour = candour
    scene.run()
    await scene.clock.advance(0)
    scene.refused = vip(33)
    scene.rig.apply(...many)
    await scene.clock.advance(1000)
    expect(scene.problems()).toHaveLength(2)
    expect([...scene.everDeleted], 'no virtual server was gone even for a moment').toEqual([])
    await scene.equals(without(all, 'plain-33'))
    scene.rig.apply(...plain(70))
    scene.rig.apply(...withEndpoints('plain-21', 21, 4))
    await scene.clock.advance(0)
    expect(scene.rig.of('applied').at(-1)?.kind, 'and changes go on being partial').toBe('partial')
    await scene.equals([...without(all, 'plain-33'), ...plain(70), ...withEndpoints('plain-21', 21, 4)])
  })
})

describe('a plan that cannot be made', () => {
  it('is held against the Service that it fails for', async () => {
    const scene = new Scene(all)
    for (const backend of scene.rig.backends) {
      const plan = backend.plan.bind(backend)
      backend.plan = (change, observed) => {
        const states =
          change.kind === 'full' ? [...change.services] : [...change.services.values()].map((each) => each.after)
        if (states.some((state) => state?.name === 'ns/plain-33')) throw new TypeError('a bug of ours')
        return plan(
          change.kind === 'full' ? { ...change, services: states.filter((each) => each !== undefined) } : change,
          observed,
        )
      }
    }
    scene.run()
    await scene.clock.advance(100)
    expect(scene.problems()).toEqual(['backend ns/plain-33', 'backend ns/plain-33'])
    await scene.equals(without(all, 'plain-33'))
  })
})

describe('a Service that is left out', () => {
  const leftOut = async (): Promise<Scene> => {
    const scene = new Scene(all)
    scene.refused = vip(33)
    scene.run()
    await scene.clock.advance(100)
    expect(scene.problems()).toHaveLength(2)
    return scene
  }

  it('is tried again every sync period, without being reported again', async () => {
    const scene = await leftOut()
    await scene.clock.advance(95_000)
    expect(scene.problems()).toHaveLength(2)
    await scene.equals(without(all, 'plain-33'))
    scene.refused = []
    await scene.clock.advance(30_000)
    await scene.equals(all)
    expect(scene.rig.of('driftRepaired'), 'that is nobody else’s doing').toEqual([])
    const { commits } = scene
    await scene.clock.advance(95_000)
    expect(scene.commits, 'and then there is nothing left to try').toBe(commits)
  })

  it('is tried again when it changes', async () => {
    const scene = await leftOut()
    scene.refused = []
    scene.rig.apply(...withEndpoints('plain-33', 33, 1))
    await scene.clock.advance(0)
    expect(scene.rig.of('applied').at(-1)?.kind).toBe('partial')
    await scene.equals([...all, ...withEndpoints('plain-33', 33, 1)])
    expect(scene.rig.families.map((family) => family.leftOut().size)).toEqual([0, 0])
  })

  it('is reported again if it was well in between', async () => {
    const scene = await leftOut()
    scene.refused = []
    scene.rig.apply(put(service('ns/plain-33', { clusterIPs: vip(133) })))
    await scene.clock.advance(0)
    scene.refused = vip(133)
    scene.rig.apply(put(service('ns/plain-33', { clusterIPs: vip(133), affinitySeconds: 5 })))
    await scene.clock.advance(200)
    expect(scene.problems()).toHaveLength(4)
    await scene.equals(without(all, 'plain-33'))
  })

  it('is forgotten when it is deleted', async () => {
    const scene = await leftOut()
    scene.rig.apply(drop('ns/plain-33'))
    await scene.clock.advance(0)
    expect(scene.rig.families.map((family) => family.leftOut().size)).toEqual([0, 0])
  })
})

describe('what is no Service’s fault', () => {
  const failing = async (code: 'busy' | 'io' | 'overflow' | 'permission'): Promise<Scene> => {
    const scene = new Scene(cluster)
    scene.client.beforeCommit = () => {
      throw new KernelError({ code, op: 'commit', tag: 'ns/plain-1' })
    }
    scene.run()
    await scene.clock.advance(2000)
    return scene
  }

  it.each(['busy', 'io', 'overflow', 'permission'] as const)('is not held against any: %s', async (code) => {
    const scene = await failing(code)
    expect(scene.problems()).toEqual([])
    expect(scene.rig.of('applied')).toEqual([])
    expect(scene.rig.of('failed').length).toBeGreaterThan(6)
  })

  it('is a refusal of the write without any Service', async () => {
    const scene = new Scene(cluster)
    scene.client.beforeCommit = () => {
      throw KernelError.ofErrno('commit', 95, { tag: 'ns/plain-1' })
    }
    scene.run()
    await scene.clock.advance(2000)
    expect(scene.problems()).toEqual([])
    expect(scene.rig.of('applied')).toEqual([])
    expect(scene.rig.of('failed').at(-1)).toMatchObject({ code: 'unsupported' })
  })

  it('is a single refusal, when somebody else wrote between the look and the write', async () => {
    const scene = new Scene(cluster)
    let first = true
    scene.client.beforeCommit = () => {
      if (!first) return
      first = false
      throw KernelError.ofErrno('commit', 17, { tag: 'ns/plain-1' })
    }
    scene.run()
    await scene.clock.advance(100)
    expect(scene.problems()).toEqual([])
    await scene.equals(cluster)
  })
})
