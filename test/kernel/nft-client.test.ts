import { execFileSync } from 'node:child_process'
import t from 'tap'
import { Batch } from '../../src/kernel/nft/batch.ts'
import { member, register, returnFromChain } from '../../src/kernel/nft/expr.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const client = openNftClient()
const nft = (command: string): string => execFileSync('nft', command.split(' '), { encoding: 'utf8' })
const table = { family: 'ip', name: 'weir' } as const

const structure = `table ip weir {
  comment "ours"
  map endpoints { typeof ip daddr . meta l4proto . th dport . numgen random mod 65536 : ip daddr . th dport; }
  map services { type ipv4_addr . inet_proto . inet_service : verdict; comment "by virtual server"; }
  set numbers { typeof meta mark; }
  set clients { type ipv4_addr; flags timeout; }
  chain first { comment "one"; return; }
  chain from-kernel { type filter hook input priority 0; }
}
table inet other { }
`

const fresh = async (): Promise<void> => {
  await client.deleteTable('ip', 'weir', signal)
  await client.deleteTable('inet', 'other', signal)
  await client.runText(structure, signal)
}

const addNumbers = (batch: Batch, from: number, count: number): void => {
  batch.elements('add', 'numbers')
  for (let i = from; i < from + count; i++) {
    const at = batch.element(4)
    batch.view.setUint32(at, i, true)
    batch.endElement()
  }
}

const addEndpoint = (batch: Batch, op: 'add' | 'delete', slot: number, port: number): void => {
  batch.elements(op, 'endpoints')
  const key = batch.element(16)
  batch.bytes.set([10, 96, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0], key)
  batch.view.setUint32(key + 12, slot, true)
  const data = batch.data(8)
  batch.bytes.set([10, 1, 0, 1], data)
  batch.view.setUint16(data + 4, port)
  batch.endElement()
}

const count = async (set: string): Promise<number> => {
  let found = 0
  const restart = (): void => {
    found = 0
  }
  await client.dumpElements(table, set, () => found++, signal, { restart })
  return found
}

t.test('lists what nft made', async (t) => {
  await fresh()
  t.match(await client.tables(signal), [
    { family: 'ip', name: 'weir', comment: 'ours' },
    { family: 'inet', name: 'other', comment: undefined },
  ])
  const chains = await client.chains(table, signal)
  t.match(chains, [
    { name: 'first', comment: 'one', base: false, use: 1 },
    { name: 'from-kernel', comment: undefined, base: true },
  ])
  const sets = await client.sets(table, signal)
  t.match(sets, [
    { name: 'endpoints', flags: 8, keyLength: 16, data: { kind: 'value', length: 8 } },
    { name: 'services', comment: 'by virtual server', keyLength: 12, data: { kind: 'verdict' } },
    { name: 'numbers', flags: 0, keyLength: 4, data: { kind: 'none' } },
    { name: 'clients', flags: 0x10, keyLength: 4 },
  ])
  t.match(await client.rules(table, signal), [{ chain: 'first', comment: undefined }])
})

t.test('an empty table is not a missing one', async (t) => {
  await fresh()
  const other = { family: 'inet', name: 'other' } as const
  t.same(
    [await client.chains(other, signal), await client.sets(other, signal), await client.rules(other, signal)],
    [[], [], []],
  )
  const missing = { family: 'ip', name: 'other' } as const
  await t.rejects(client.chains(missing, signal), { code: 'notFound' })
  await t.rejects(client.sets(missing, signal), { code: 'notFound' })
  await t.rejects(client.rules(missing, signal), { code: 'notFound' })
  await t.rejects(
    client.dumpElements(table, 'nothing', () => {}, signal),
    { code: 'notFound' },
  )
})

t.test('commits chains, rules, elements; nft shows them', async (t) => {
  await fresh()
  const batch = new Batch('ip', 'weir')
  batch.addChain('lb-1', 'class of one')
  batch.addRule('lb-1', [returnFromChain], 'nothing yet')
  addEndpoint(batch, 'add', 0, 8080)
  batch.elements('add', 'services')
  const key = batch.element(12)
  batch.bytes.set([10, 96, 0, 1, 6, 0, 0, 0, 0, 80], key)
  batch.verdict({ kind: 'goto', chain: 'lb-1' })
  batch.comment('default/web:http')
  batch.endElement()
  batch.elements('add', 'clients')
  const client1 = batch.element(4)
  batch.bytes.set([10, 0, 0, 9], client1)
  batch.timeout(90_000)
  batch.endElement()
  const before = client.generation(signal)
  t.equal((await client.commit(batch, signal)).generation, before + 1)
  t.match(nft('list chain ip weir lb-1'), /comment "class of one"\s+return comment "nothing yet"/)
  t.match(nft('list map ip weir endpoints'), '10.96.0.1 . tcp . 80 . 0 : 10.1.0.1 . 8080')
  t.match(nft('list map ip weir services'), '10.96.0.1 . tcp . 80 comment "default/web:http" : goto lb-1')
  t.match(nft('list set ip weir clients'), '10.0.0.9 timeout 1m30s')

  const seen: unknown[] = []
  await client.dumpElements(
    table,
    'services',
    (k, end, data, comment, flags) => seen.push([Buffer.from(k).toString('hex'), end, data, comment, flags]),
    signal,
  )
  t.same(seen, [['0a6000010600000000500000', undefined, { kind: 'goto', chain: 'lb-1' }, 'default/web:http', 0]])
  const timeouts: unknown[] = []
  await client.dumpElements(table, 'clients', (_k, _e, _d, _c, _f, timeout) => timeouts.push(timeout), signal)
  t.same(timeouts, [90_000])
})

t.test('a failing message undoes the whole batch and says which part it was', async (t) => {
  await fresh()
  const first = new Batch('ip', 'weir')
  addEndpoint(first, 'add', 7, 8080)
  await client.commit(first, signal)

  const batch = new Batch('ip', 'weir')
  batch.mark('chain')
  batch.addChain('lb-9')
  for (const [slot, port] of [
    [1, 8081],
    [7, 9999],
    [2, 8082],
  ] as const) {
    batch.mark(`slot ${slot}`)
    addEndpoint(batch, 'add', slot, port)
  }
  const before = client.generation(signal)
  await t.rejects(client.commit(batch, signal), { name: 'KernelError', code: 'exists', errno: 17, tag: 'slot 7' })
  t.equal(client.generation(signal), before)
  t.equal(await count('endpoints'), 1)
  t.notMatch(nft('list chains'), 'lb-9')
})

t.test('what the kernel refuses', async (t) => {
  await fresh()
  const refused = async (describeBatch: (batch: Batch) => void, code: string, name: string): Promise<void> => {
    const batch = new Batch('ip', 'weir')
    batch.mark(name)
    describeBatch(batch)
    await t.rejects(client.commit(batch, signal), { code, tag: name }, name)
  }
  await refused((batch) => addEndpoint(batch, 'delete', 1, 1), 'notFound', 'deleting a missing element')
  await refused((batch) => batch.deleteChain('none'), 'notFound', 'deleting a missing chain')
  await refused((batch) => batch.addRule('none', [returnFromChain]), 'notFound', 'a rule for a missing chain')
  await refused(
    (batch) => batch.addRule('first', [member('none', register(0))]),
    'notFound',
    'a lookup in a missing set',
  )
  await refused((batch) => batch.flushSet('none'), 'notFound', 'emptying a missing set')
  await refused(
    (batch) => {
      batch.elements('add', 'services')
      batch.element(12)
      batch.verdict({ kind: 'goto', chain: 'none' })
      batch.endElement()
    },
    'notFound',
    'goto a missing chain',
  )
  await refused(
    (batch) => {
      batch.addChain('used')
      batch.elements('add', 'services')
      batch.element(12)
      batch.verdict({ kind: 'goto', chain: 'used' })
      batch.endElement()
      batch.mark('deleting a chain in use')
      batch.deleteChain('used')
    },
    'busy',
    'deleting a chain in use',
  )
  await refused(
    (batch) => {
      batch.elements('add', 'numbers')
      batch.element(8)
      batch.endElement()
    },
    'invalid',
    'a key of the wrong width',
  )
})

t.test('replacing, emptying, deleting', async (t) => {
  await fresh()
  const one = new Batch('ip', 'weir')
  addEndpoint(one, 'add', 0, 1)
  addEndpoint(one, 'add', 1, 1)
  addNumbers(one, 0, 10)
  one.addChain('gone')
  one.addRule('gone', [returnFromChain])
  await client.commit(one, signal)
  const two = new Batch('ip', 'weir')
  addEndpoint(two, 'delete', 0, 1)
  addEndpoint(two, 'add', 0, 2)
  two.flushSet('numbers')
  two.flushChain('first')
  two.deleteChain('gone')
  await client.commit(two, signal)
  t.match(nft('list map ip weir endpoints'), '10.96.0.1 . tcp . 80 . 0 : 10.1.0.1 . 2')
  t.equal(await count('numbers'), 0)
  t.same(await client.rules(table, signal), [])
  t.notMatch(nft('list chains'), 'gone')
  await client.deleteTable('ip', 'weir', signal)
  await client.deleteTable('ip', 'weir', signal)
  t.same(
    (await client.tables(signal)).map(({ name }) => name),
    ['other'],
  )
})

t.test('a batch without messages is not sent; one that changes nothing is accepted', async (t) => {
  await fresh()
  const before = client.generation(signal)
  t.same(await client.commit(new Batch('ip', 'weir'), signal), { generation: before })
  const batch = new Batch('ip', 'weir')
  addNumbers(batch, 1, 1)
  await client.commit(batch, signal)
  const again = new Batch('ip', 'weir')
  addNumbers(again, 1, 1)
  await t.resolves(client.commit(again, signal))
})

t.test('160,000 elements go in on a thread while the event loop turns, and come back', async (t) => {
  await fresh()
  const batch = new Batch('ip', 'weir')
  for (let i = 0; i < 160_000; i++) addEndpoint(batch, 'add', i, 8080)
  t.ok(batch.size > 1024 * 1024)
  let turns = 0
  const timer = setInterval(() => turns++, 5)
  const committing = client.commit(batch, signal)
  const small = new Batch('ip', 'weir')
  addNumbers(small, 0, 1)
  // Waits for its turn instead of blocking the loop on the kernel's lock.
  const after = client.commit(small, signal)
  await committing
  t.ok(turns > 2, `${turns} turns`)
  await after
  const slots = new Set<number>()
  let total = 0
  const atStart = turns
  const restart = (): void => {
    total = 0
    slots.clear()
  }
  const collect = (key: Uint8Array): void => {
    total++
    slots.add(new DataView(key.buffer, key.byteOffset).getUint32(12, true))
  }
  // The kernel is still moving elements to larger tables: a single reading would lack some.
  await client.dumpElements(table, 'endpoints', collect, signal, { restart })
  clearInterval(timer)
  t.equal(total, 160_000)
  t.equal(slots.size, 160_000)
  t.ok(turns > atStart, 'the dump lets the loop turn')
})

t.test('a dump that meets a change is interrupted, or starts over when asked to', async (t) => {
  await fresh()
  const fill = new Batch('ip', 'weir')
  addNumbers(fill, 0, 50_000)
  await client.commit(fill, signal)
  await client.dumpElements(table, 'numbers', () => {}, signal, { restart: () => {} })
  let next = 50_000
  const change = async (): Promise<void> => {
    const batch = new Batch('ip', 'weir')
    addNumbers(batch, next++, 1)
    await client.commit(batch, signal)
  }
  let changed = false
  const changeOnce = (): void => {
    if (changed) return
    changed = true
    void change()
  }
  await t.rejects(client.dumpElements(table, 'numbers', changeOnce, signal), { code: 'interrupted' })
  changed = false
  const seen = new Set<string>()
  let restarts = 0
  const restart = (): void => {
    restarts++
    seen.clear()
  }
  const collect = (key: Uint8Array): void => {
    seen.add(Buffer.from(key).toString('hex'))
    changeOnce()
  }
  await client.dumpElements(table, 'numbers', collect, signal, { restart })
  t.equal(restarts, 1)
  t.equal(seen.size, 50_002)
  await t.rejects(
    client.dumpElements(table, 'numbers', () => void change(), signal, { restart: () => {} }),
    { code: 'interrupted' },
  )
})

t.test('a dump while the kernel moves the elements is exact, or interrupted', async (t) => {
  let interrupted = 0
  for (let round = 0; round < 3; round++) {
    await fresh()
    const batch = new Batch('ip', 'weir')
    addNumbers(batch, 0, 100_000)
    await client.commit(batch, signal)
    const seen = new Set<string>()
    let total = 0
    const collect = (key: Uint8Array): void => {
      total++
      seen.add(Buffer.from(key).toString('hex'))
    }
    try {
      await client.dumpElements(table, 'numbers', collect, signal)
      t.equal(seen.size, 100_000)
    } catch (error) {
      t.match(error, { code: 'interrupted' })
      interrupted++
    }
    total = 0
    await client.dumpElements(table, 'numbers', collect, signal, { inexact: true })
    t.ok(total > 0)
  }
  t.comment(`${interrupted} of 3 interrupted`)
})

t.test('signals', async (t) => {
  await fresh()
  const reason = new Error('stop')
  const aborted = AbortSignal.abort(reason)
  const batch = new Batch('ip', 'weir')
  addNumbers(batch, 0, 1)
  await t.rejects(client.commit(batch, aborted), reason)
  await t.rejects(client.runText('', aborted), reason)
  await t.rejects(client.tables(aborted), reason)
  t.throws(() => client.generation(aborted), reason)
  t.equal(await count('numbers'), 0)

  const fill = new Batch('ip', 'weir')
  addNumbers(fill, 0, 100_000)
  await client.commit(fill, signal)
  t.equal(await count('numbers'), 100_000)
  const controller = new AbortController()
  const stopEarly = (): void => controller.abort(reason)
  await t.rejects(client.dumpElements(table, 'numbers', stopEarly, controller.signal), reason)
  t.equal(await count('numbers'), 100_000, 'the next dump is not disturbed')

  // `sh -f -` runs its input as a script.
  const hanging = openNftClient({ nft: 'sh' })
  t.teardown(() => hanging.close())
  const soon = new AbortController()
  setTimeout(() => soon.abort(reason), 20)
  await t.rejects(hanging.runText('exec sleep 60', soon.signal), reason, 'kills the program')
})

t.test('nft as a program', async (t) => {
  t.match(await client.version(signal), /^\d+\.\d+/)
  await t.rejects(client.runText('add rule ip none none accept', signal), { code: 'notFound', detail: /No such file/ })
  await t.rejects(client.runText('nonsense', signal), { code: 'invalid', detail: /syntax error/ })
  const absent = openNftClient({ nft: '/no/such/nft' })
  t.teardown(() => absent.close())
  await t.rejects(absent.runText('', signal), { code: 'missing' })
  await t.rejects(absent.version(signal), { code: 'missing' })
})

t.test('without CAP_NET_ADMIN every answer is permission', async (t) => {
  const script = `
    const { openNftClient } = await import(${JSON.stringify(new URL('../../src/kernel/nft/kernel-client.js', import.meta.url))})
    const { Batch } = await import(${JSON.stringify(new URL('../../src/kernel/nft/batch.js', import.meta.url))})
    const { signal } = new AbortController()
    const client = openNftClient()
    const code = async (run) => { try { await run(); return 'none' } catch (error) { return error.code } }
    const batch = new Batch('ip', 'weir')
    batch.addTable()
    console.log(await code(() => client.generation(signal)), await code(() => client.tables(signal)), await code(() => client.commit(batch, signal)))`
  const output = execFileSync(
    'setpriv',
    [
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--inh-caps=-all',
      '--bounding-set=-all',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ],
    { encoding: 'utf8' },
  )
  t.equal(output, 'permission permission permission\n')
})

t.teardown(() => client.close())
