import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Batch } from '../../src/kernel/nft/batch.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { type NftEvent, openNftMonitor } from '../../src/kernel/nft/monitor.ts'
import { OwnWriters } from '../../src/kernel/nft/own-writers.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const nft = (...args: string[]): void => {
  execFileSync('nft', args)
}

const writers = new OwnWriters()
const client = openNftClient({ writers })
let events: NftEvent[] = []
const monitor = openNftMonitor({ writers, report: (event) => events.push(event) })
t.teardown(() => {
  monitor.close()
  client.close()
})

const seen = (): readonly NftEvent[] => {
  monitor.poll()
  const all = events
  events = []
  return all
}
const changed = (...tables: readonly [family: string, name: string][]): unknown => ({
  kind: 'foreignChange',
  tables: tables.map(([family, name]) => ({ family, name, chains: undefined })),
})
/** In one table, only chains and their rules. */
const changedChains = (...chains: readonly string[]): unknown => ({
  kind: 'foreignChange',
  tables: [{ family: 'ip', name: 'weir', chains: new Set(chains) }],
})

const numbers = (count: number, from = 0): Batch => {
  const batch = new Batch('ip', 'weir')
  batch.elements('add', 'numbers')
  for (let i = from; i < from + count; i++) {
    const at = batch.element(4)
    batch.view.setUint32(at, i)
    batch.endElement()
  }
  return batch
}

const structure = 'table ip weir { set numbers { type ipv4_addr; }; chain kept { return; }; }\n'

t.beforeEach(async () => {
  await client.deleteTable('ip', 'weir', signal)
  await client.runText(structure, signal)
  nft('add', 'table', 'inet', 'theirs')
  seen()
})

t.test('our own changes are not reported, by netlink or through nft', async (t) => {
  await client.commit(numbers(100), signal)
  await client.runText('flush set ip weir numbers\n', signal)
  await client.deleteTable('ip', 'weir', signal)
  t.same(seen(), [])
})

t.test('a deleted table', async (t) => {
  nft('delete', 'table', 'ip', 'weir')
  t.same(seen(), [changed(['ip', 'weir'])])
})

t.test('a flushed ruleset', async (t) => {
  nft('flush', 'ruleset')
  const [event, ...more] = seen()
  t.same(more, [])
  t.equal(event?.kind, 'foreignChange')
  const tables =
    event?.kind === 'foreignChange' ? event.tables.map(({ family, name }) => `${family} ${name}`).sort() : []
  t.same(tables, ['inet theirs', 'ip weir'])
})

t.test('which chains were touched', async (t) => {
  nft('add', 'chain', 'ip', 'weir', 'theirs')
  t.same(seen(), [changedChains('theirs')])
  nft('add', 'rule', 'ip', 'weir', 'kept', 'counter')
  t.same(seen(), [changedChains('kept')])
  nft('flush', 'chain', 'ip', 'weir', 'kept')
  t.same(seen(), [changedChains('kept')])
  nft('delete', 'chain', 'ip', 'weir', 'theirs')
  t.same(seen(), [changedChains('theirs')])
})

t.test('a deleted element', async (t) => {
  await client.commit(numbers(3), signal)
  nft('delete', 'element', 'ip', 'weir', 'numbers', '{ 0.0.0.1 }')
  t.same(seen(), [changed(['ip', 'weir'])])
})

t.test('rules, and tables that are not ours', async (t) => {
  nft('add', 'rule', 'ip', 'weir', 'kept', 'accept')
  nft('add', 'chain', 'inet', 'theirs', 'c')
  const theirs = { family: 'inet', name: 'theirs', chains: new Set(['c']) }
  t.same(seen(), [changedChains('kept'), { kind: 'foreignChange', tables: [theirs] }])
})

t.test('another client in this very process is somebody else', async (t) => {
  const other = openNftClient()
  t.teardown(() => other.close())
  await other.commit(numbers(1), signal)
  t.same(seen(), [changed(['ip', 'weir'])])
})

t.test('hears by itself', async (t) => {
  nft('add', 'table', 'ip', 'new')
  const giveUp = Date.now() + 5000
  while (events.length === 0 && Date.now() < giveUp) await sleep(5)
  t.same(events, [changed(['ip', 'new'])])
})

t.test('paused, it hears nothing of our big change', async (t) => {
  monitor.pause()
  await client.commit(numbers(200_000), signal)
  monitor.resume()
  t.same(seen(), [])
  nft('add', 'table', 'ip', 'after')
  t.same(seen(), [changed(['ip', 'after'])])
})

t.test('paused, it still finds out that somebody else wrote', async (t) => {
  monitor.pause()
  await client.commit(numbers(10), signal)
  nft('delete', 'table', 'ip', 'weir')
  monitor.resume()
  t.same(seen(), [{ kind: 'overflow' }])
})

t.test('pauses nest, and what waited before one is still read', async (t) => {
  nft('add', 'chain', 'ip', 'weir', 'before')
  monitor.pause()
  monitor.pause()
  nft('add', 'chain', 'ip', 'weir', 'inside')
  monitor.resume()
  t.same(seen(), [changedChains('before')])
  monitor.resume()
  t.same(seen(), [{ kind: 'overflow' }])
  monitor.resume()
  t.same(seen(), [])
})

t.test('lost events are reported as such, and it goes on afterwards', async (t) => {
  const heard: NftEvent[] = []
  const deaf = openNftMonitor({
    writers,
    report: (event) => heard.push(event),
    receiveBuffer: 4096,
  })
  const other = openNftClient()
  t.teardown(() => {
    deaf.close()
    other.close()
  })
  await other.commit(numbers(10_000), signal)
  deaf.poll()
  t.ok(heard.some(({ kind }) => kind === 'overflow'))
  heard.length = 0
  nft('add', 'table', 'ip', 'again')
  deaf.poll()
  t.same(heard, [changed(['ip', 'again'])])
  nft('delete', 'table', 'ip', 'again')
})
