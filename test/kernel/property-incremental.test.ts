/**
 * Any sequence of events, applied step by step with failures in between, leaves the kernel as one full sync of the final
 * objects does in an empty table. The same lives run on the fake, which must end alike.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { KernelError } from '../../src/kernel/netlink/error.ts'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import type { Batch } from '../../src/kernel/nft/batch.ts'
import { FakeNft } from '../../src/kernel/nft/fake.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { ownNamespace } from '../support/namespace.ts'
import { dumpTable, listTable, type TableDump } from './sync-dump.ts'
import { TestClient } from './sync-faults.ts'
import { NodeUnderTest, Tally } from './sync-life.ts'
import { never } from './sync-rig.ts'
import { anyLife, type Life } from './sync-world.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())

const nftFamilies = ['ip', 'ip6'] as const

const wipe = async (): Promise<void> => {
  for (const family of nftFamilies) await kernel.deleteTable(family, 'weir', never)
}

interface Tables {
  readonly dumps: readonly (TableDump | undefined)[]
  readonly listings: readonly unknown[]
}

const look = async (): Promise<Tables> => ({
  dumps: [await dumpTable(kernel, 'ip'), await dumpTable(kernel, 'ip6')],
  listings: nftFamilies.map(listTable),
})

/** What kernel and fake have in common: all but the bytes of rules. */
const comparable = async (client: Parameters<typeof dumpTable>[0]): Promise<unknown> => {
  const dumps = [await dumpTable(client, 'ip', () => 'rule'), await dumpTable(client, 'ip6', () => 'rule')]
  return dumps
}

const liveAndCompare = async (life: Life, tally: Tally, client = new TestClient(kernel)): Promise<void> => {
  await wipe()
  const node = new NodeUnderTest(life, client, tally)
  await node.live()
  const incremental = await look()
  await wipe()
  await node.freshStart(new TestClient(kernel))
  assert.deepEqual(incremental, await look())
}

t.test('incremental equals full', async (t) => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(anyLife(20), (life) => liveAndCompare(life, tally)),
    { seed: 20_261_120, numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
  t.comment(JSON.stringify(tally))
  t.ok(tally.partial > 200, `${tally.partial} partial syncs`)
  t.ok(tally.failed > 20, `${tally.failed} failures`)
})

t.test('so do the large tables of Maglev hashing and uneven weights', async (t) => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(anyLife(6, { large: true }), (life) => liveAndCompare(life, tally)),
    { seed: 20_261_121, numRuns: 4, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
  t.comment(JSON.stringify(tally))
  t.ok(tally.partial > 0)
})

t.test('the fake ends as the kernel does', async (t) => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(anyLife(16), async (life) => {
      await wipe()
      await new NodeUnderTest(life, new TestClient(kernel), tally).live()
      const fake = new FakeNft()
      await new NodeUnderTest(life, new TestClient(fake), tally).live()
      assert.deepEqual(await comparable(fake), await comparable(kernel))
    }),
    { seed: 20_261_122, numRuns: 12 },
  )
  t.ok(tally.partial > 50)
})

/** A batch with one message cut out. */
const without = (batch: Batch, index: number): Batch => {
  const bytes = batch.finish()
  const message = new MessageReader(bytes)
  for (let i = 0; i <= index; i++) message.next()
  const cut = new Uint8Array(bytes.length - (message.end - message.at))
  cut.set(bytes.subarray(0, message.at))
  cut.set(bytes.subarray(message.end), message.at)
  const get = (_: Batch, name: string | symbol): unknown => {
    const value: unknown = name === 'finish' ? () => cut : Reflect.get(batch, name, batch)
    return typeof value === 'function' ? value.bind(batch) : value
  }
  return new Proxy(batch, { get })
}

t.test('a sync that loses a single message is noticed', async (t) => {
  const tally = new Tally()
  const [life] = fc.sample(anyLife(20), { seed: 7, numRuns: 1 })
  assert.ok(life !== undefined)
  const steps = life.steps.map((step) => (step.kind === 'sync' ? { ...step, faults: [] } : step))
  await liveAndCompare({ ...life, steps }, tally)
  let cuts = 0
  let noticed = 0
  let commits = 1
  for (let target = 0; target < commits; target++) {
    const client = new TestClient(kernel)
    commits = 0
    client.rewrite = (batch) => {
      // Elements stand at the end of a batch, before the message that ends it.
      if (commits++ !== target || batch.messages === 0) return batch
      cuts++
      return without(batch, batch.messages)
    }
    try {
      await liveAndCompare({ ...life, steps }, tally, client)
      t.comment(`cut at commit ${target} made no difference`)
    } catch (error) {
      assert.ok(error instanceof assert.AssertionError || error instanceof KernelError, String(error))
      noticed++
    }
  }
  t.comment(`${noticed} of ${cuts} cuts noticed`)
  t.ok(cuts >= 6, 'the life is long enough')
  t.ok(noticed >= cuts - 2, 'but for what a later change put right')
})
