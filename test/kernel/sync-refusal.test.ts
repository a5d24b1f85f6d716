/** The kernel itself refuses one Service's element: it says which, and that Service alone is left out. */
import t from 'tap'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import type { Batch } from '../../src/kernel/nft/batch.ts'
import { NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_SET } from '../../src/kernel/nft/constants.ts'
import { readName } from '../../src/kernel/nft/decode.ts'
import { readElements } from '../../src/kernel/nft/element.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { ownNamespace } from '../support/namespace.ts'
import { cluster, drop, plain, withEndpoints } from './sync-cluster.ts'
import { dumpTable } from './sync-dump.ts'
import { TestClient } from './sync-faults.ts'
import { never, Rig } from './sync-rig.ts'

ownNamespace(import.meta.url)

const kernel = openNftClient()
t.teardown(() => kernel.close())
const look = async (): Promise<unknown> => [await dumpTable(kernel, 'ip'), await dumpTable(kernel, 'ip6')]

/** Makes the verdict of 10.96.0.33 name a chain that does not exist. */
const spoil = (batch: Batch): Batch => {
  const bytes = batch.finish()
  const message = new MessageReader(bytes)
  while (message.next()) {
    if (message.type !== NFT_MSG_NEWSETELEM || readName(message, NFTA_SET_ELEM_LIST_SET) !== 'services') continue
    readElements(message, (key) => {
      if (!Buffer.from(key).toString('hex').startsWith('0a600021')) return
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(
        'random',
        key.byteOffset - bytes.byteOffset,
      )
      bytes[at] = 0x7a
    })
  }
  return batch
}

const many = Array.from({ length: 60 }, (_, i) => plain(10 + i)).flat()

t.test('at the start, over a table that is in use', async (t) => {
  const first = new Rig({ client: kernel })
  first.tracker.apply([...cluster, ...many, drop('ns/plain-33')])
  await first.mustSync()
  const wanted = await dumpTable(kernel, 'ip')

  const client = new TestClient(kernel)
  client.rewrite = spoil
  const rig = new Rig({ client })
  rig.tracker.apply([...cluster, ...many])
  t.match(await rig.sync(), { code: 'notFound', tag: 'ns/plain-33' }, 'the kernel says whose element it refuses')
  const fulls = rig.of('started').length
  await rig.mustSync()
  t.equal(rig.of('started').length, fulls + 1, 'IPv6 was done the first time')
  t.match(rig.of('problem'), [{ problem: { object: { kind: 'Service', namespace: 'ns', name: 'plain-33' } } }])
  t.same(await dumpTable(kernel, 'ip'), wanted)

  rig.apply(...withEndpoints('plain-12', 12, 5))
  await rig.mustSync()
  t.match(rig.of('applied').slice(-2), [{ kind: 'partial' }, { kind: 'partial' }])

  client.rewrite = (batch) => batch
  rig.apply(...withEndpoints('plain-33', 33, 2))
  await rig.mustSync()
  const repaired = await look()
  for (const family of ['ip', 'ip6'] as const) await kernel.deleteTable(family, 'weir', never)
  const fresh = new Rig({ client: kernel })
  fresh.tracker.apply([...cluster, ...many, ...withEndpoints('plain-12', 12, 5), ...withEndpoints('plain-33', 33, 2)])
  await fresh.mustSync()
  await rig.tidy()
  t.same(await look(), repaired)
})
