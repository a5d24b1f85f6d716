import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dumpTable } from '../../test/kernel/sync-dump.ts'
import { TestClient } from '../../test/kernel/sync-faults.ts'
import { NodeUnderTest, Tally } from '../../test/kernel/sync-life.ts'
import { anyLife, type Life } from '../../test/kernel/sync-world.ts'
import type { NftablesBackend } from '../backends/nftables/backend.ts'
import { FakeNft } from '../kernel/nft/fake.ts'

const tables = async (client: TestClient) => ({
  ip: await dumpTable(client, 'ip'),
  ip6: await dumpTable(client, 'ip6'),
})

/** A set that is empty again may be counted as such. */
const counts = (backend: Pick<NftablesBackend, 'counts'>): ReadonlyMap<string, number> =>
  new Map([...backend.counts()].filter(([, count]) => count > 0).sort())

const outlive = async (lives: fc.Arbitrary<Life>, numRuns: number): Promise<Tally> => {
  const tally = new Tally()
  await fc.assert(
    fc.asyncProperty(lives, async (life) => {
      const client = new TestClient(new FakeNft())
      const node = new NodeUnderTest(life, client, tally)
      await node.live()
      const successor = await node.freshStart(client)
      expect(
        successor.of('applied').map(({ added, removed }) => added + removed),
        'a successor finds all done',
      ).toEqual([0, 0])
      const other = new TestClient(new FakeNft())
      const fresh = await node.freshStart(other)
      expect(await tables(client)).toEqual(await tables(other))
      expect(node.rig.backends.map(counts)).toEqual(fresh.backends.map(counts))
    }),
    { seed: 20_261_120, numRuns },
  )
  return tally
}

describe('any sequence of events, syncs, failures and pauses', () => {
  it('leaves what one full sync of the final objects writes to an empty table', async () => {
    const tally = await outlive(anyLife(24), 250)
    expect(tally.partial).toBeGreaterThan(1000)
    expect(tally.failed).toBeGreaterThan(100)
    expect(tally.written).toBeLessThan(tally.present)
  }, 120_000)

  it('does so for the large tables of Maglev hashing and uneven weights', async () => {
    const tally = await outlive(anyLife(8, { large: true }), 4)
    expect(tally.partial).toBeGreaterThan(5)
  }, 120_000)
})
