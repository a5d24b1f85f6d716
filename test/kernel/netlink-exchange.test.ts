import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import { dump } from '../../src/kernel/netlink/dump.ts'
import { openTransport, type Transport, type TransportOptions } from '../../src/kernel/netlink/transport.ts'
import { ownNamespace } from '../support/namespace.ts'
import {
  addAddress,
  addLink,
  addressNumber,
  deleteAddress,
  deleteLink,
  getLink,
  linkBody,
  linkName,
  listAddresses,
  numbers,
  RTM_NEWLINK,
} from './netlink-requests.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

interface Counted {
  readonly connection: Connection
  readonly transport: Transport
  /** Bytes of each datagram that was sent. */
  readonly sent: readonly number[]
}

const open = (t: Pick<Tap, 'teardown'>, options: Partial<TransportOptions> = {}): Counted => {
  const transport = openTransport({ protocol: protocols.route, ...options })
  const sent: number[] = []
  const send = transport.send.bind(transport)
  transport.send = (bytes) => {
    sent.push(bytes.length)
    send(bytes)
  }
  t.teardown(() => transport.close())
  return { connection: new Connection(transport), transport, sent }
}
type Tap = typeof t

const sized = { sendBuffer: 1 << 18, receiveBuffer: 1 << 20 }

const addresses = async (): Promise<ReadonlySet<number>> => {
  const found = new Set<number>()
  const onMessage = (message: Parameters<typeof addressNumber>[0]): void => void found.add(addressNumber(message))
  const openRoute = (): Transport => openTransport({ protocol: protocols.route })
  await dump(openRoute, listAddresses, onMessage, signal, { restart: () => found.clear() })
  found.delete(-1)
  return found
}

t.test('in order, each by itself, in one datagram', async (t) => {
  const { connection, sent } = open(t)
  const refusals = await connection.exchange(
    [
      addLink('a0'),
      addLink('a0'),
      addLink('x0', 'no-such-kind'),
      deleteLink('a0'),
      addLink('a0'),
      deleteLink('a0'),
      deleteLink('a0'),
    ],
    signal,
  )
  t.equal(sent.length, 1)
  t.match(refusals, [
    { index: 1, error: { code: 'exists', errno: 17, op: 'add link a0' } },
    { index: 2, error: { code: 'unsupported', errno: 95, op: 'add link x0', detail: 'Unknown device type' } },
    { index: 6, error: { code: 'notFound', op: 'delete link a0' } },
  ])
  t.equal(refusals.length, 3)
})

t.test('the kernel says where in its message the fault is', async (t) => {
  const { connection } = open(t)
  const tooLong = { ...addLink('b0'), body: linkBody('a-name-of-more-than-fifteen-bytes', 'bridge') }
  const [refusal, ...more] = await connection.exchange([addLink('b0'), tooLong, deleteLink('b0')], signal)
  t.same(more, [])
  // After nlmsghdr and ifinfomsg.
  t.match(refusal, { index: 1, error: { offset: 32, detail: 'Attribute failed policy validation' } })
})

t.test('thousands, in few datagrams', async (t) => {
  const { connection, sent, transport } = open(t, sized)
  t.match(transport.buffers, { send: 1 << 19, receive: 1 << 21 }, 'what was granted is known: twice as much')
  t.same(await connection.exchange(numbers(3000).map(addAddress), signal), [])
  t.equal(sent.length, 3)
  t.equal((await addresses()).size, 3000)
})

t.test('even if all are refused, no answer is lost: with the buffers that every socket has, too', async (t) => {
  for (const options of [sized, {}, { receiveBuffer: 20_000 }, { receiveBuffer: 1 }]) {
    const { connection, transport } = open(t, options)
    const refusals = await connection.exchange(numbers(2500).map(addAddress), signal)
    t.equal(refusals.length, 2500, `${transport.buffers?.receive} bytes`)
    t.ok(refusals.every(({ index, error }, i) => index === i && error.code === 'exists'))
    const words = await connection.exchange(
      numbers(120).map((i) => addLink(`x${i}`, 'no-such-kind')),
      signal,
    )
    t.equal(words.filter(({ error }) => error.detail === 'Unknown device type').length, 120)
  }
})

t.test('questions are answered in the same breath', async (t) => {
  const { connection, sent } = open(t, sized)
  const heard: unknown[] = []
  const requests = [getLink('lo'), getLink('none'), getLink('lo')]
  const refusals = await connection.exchange(requests, signal, (message, index) => {
    if (message.type === RTM_NEWLINK) heard.push([index, linkName(message)])
  })
  t.same(heard, [
    [0, 'lo'],
    [2, 'lo'],
  ])
  t.match(refusals, [{ index: 1, error: { code: 'notFound' } }])
  t.equal(sent.length, 1)
})

t.test('replies that the receive buffer does not hold: unknown, and all is well afterwards', async (t) => {
  const { connection } = open(t, { receiveBuffer: 1 })
  // One reply fills the smallest buffer there is, so that the acknowledgement is dropped.
  await t.rejects(connection.exchange([getLink('lo'), getLink('lo')], signal), { code: 'overflow', errno: 105 })
  t.throws(() => connection.request(getLink('lo'), signal), { code: 'overflow', op: 'get link lo' })
  t.same(await connection.exchange([deleteAddress(1), addAddress(1)], signal), [])
  t.doesNotThrow(() => connection.request(deleteAddress(1), signal))
  t.doesNotThrow(() => connection.request(addAddress(1), signal))
})

t.test('other work has its turn between two datagrams', async (t) => {
  const { connection, sent } = open(t, { receiveBuffer: 20_000 })
  let turns = 0
  let working = true
  const count = (): void => {
    turns++
    if (working) setImmediate(count)
  }
  setImmediate(count)
  await connection.exchange(numbers(500).map(deleteAddress), signal)
  working = false
  t.ok(turns >= sent.length - 1, `${turns} turns for ${sent.length} datagrams`)
})

t.test('an abort between two datagrams leaves what was sent', async (t) => {
  const { connection, sent } = open(t, { receiveBuffer: 20_000 })
  const stop = new AbortController()
  const work = connection.exchange(numbers(500).map(addAddress), stop.signal)
  stop.abort(new Error('stop'))
  await t.rejects(work, { message: 'stop' })
  t.equal(sent.length, 1)
  const there = await addresses()
  t.ok(there.has(1))
  t.notOk(there.has(500))
})
