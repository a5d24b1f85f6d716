import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, protocols } from '../../src/kernel/netlink/constants.ts'
import { type DumpOptions, dump } from '../../src/kernel/netlink/dump.ts'
import { encodeRequest } from '../../src/kernel/netlink/request.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import { ownNamespace } from '../support/namespace.ts'
import { addAddress, addressNumber, deleteAddress, listAddresses, numbers } from './netlink-requests.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const open = (): Transport => openTransport({ protocol: protocols.route })
const connection = new Connection(openTransport({ protocol: protocols.route, receiveBuffer: 1 << 20 }))
t.teardown(() => connection.close())

/** Enough that the kernel answers in many parts. */
const many = 3000
/** Addresses beyond those, as they are added. */
let extra = 100_000

t.before(async () => {
  t.same(await connection.exchange(numbers(many).map(addAddress), signal), [])
})

const parts = (): Transport & { readonly read: () => number } => {
  const transport = open()
  let read = 0
  const receive = transport.receive.bind(transport)
  transport.receive = () => {
    read++
    return receive()
  }
  return Object.assign(transport, { read: () => read })
}

t.test('in many parts', async (t) => {
  const transport = parts()
  const found: number[] = []
  await dump(
    () => transport,
    listAddresses,
    (message) => found.push(addressNumber(message)),
    signal,
  )
  t.ok(transport.read() > 5, `${transport.read()} datagrams`)
  t.same(
    found.filter((number) => number > 0).sort((a, b) => a - b),
    numbers(many),
  )
})

/** Changes the list while it is read, as often as `times` says. */
const disturbed = (times: number, options: DumpOptions = {}): { done: Promise<void>; found: Set<number> } => {
  const found = new Set<number>()
  let disturbances = 0
  const onMessage = (message: MessageReader): void => {
    found.add(addressNumber(message))
    if (found.size !== 50 || disturbances >= times) return
    disturbances++
    extra++
    connection.request(addAddress(extra), signal)
  }
  return { done: dump(open, listAddresses, onMessage, signal, options), found }
}

t.test('a change meanwhile is seen: no list that never was', async (t) => {
  await t.rejects(disturbed(1).done, { code: 'interrupted', op: 'list addresses' })
})

t.test('it starts over until nothing changes', async (t) => {
  let restarts = 0
  const restart = (): void => {
    restarts++
    found.clear()
  }
  const { done, found } = disturbed(3, { restart })
  await done
  t.equal(restarts, 3)
  found.delete(-1)
  t.equal(found.size, many + extra - 100_000)
})

t.test('other work has its turn while a long list is read', async (t) => {
  let turns = 0
  let working = true
  const count = async (): Promise<void> => {
    while (working) {
      await nextTurn()
      turns++
    }
  }
  const counting = count()
  const onMessage = (): void => {
    for (const until = performance.now() + 0.01; performance.now() < until; );
  }
  await dump(open, listAddresses, onMessage, signal)
  working = false
  await counting
  t.ok(turns > 2, `${turns} turns`)
})

t.test('one dump at a time: what the kernel says to a second one', async (t) => {
  const transport = open()
  t.teardown(() => transport.close())
  transport.send(encodeRequest(listAddresses, NLM_F_DUMP, 1))
  transport.send(encodeRequest(listAddresses, NLM_F_DUMP, 2))
  const ends: unknown[] = []
  for (let datagram = transport.receive(); datagram !== undefined; datagram = transport.receive()) {
    const messages = new MessageReader(datagram)
    while (messages.next())
      if (messages.type === NLMSG_ERROR || messages.type === NLMSG_DONE)
        ends.push({ type: messages.type, sequence: messages.sequence, errno: -messages.s32host(0) })
  }
  t.same(ends, [
    { type: NLMSG_ERROR, sequence: 2, errno: 16 },
    { type: NLMSG_DONE, sequence: 1, errno: 0 },
  ])
})

t.test('the flag of a dump that collided with a change is on the messages after it', async (t) => {
  const transport = open()
  t.teardown(() => transport.close())
  transport.send(encodeRequest(listAddresses, NLM_F_DUMP, 1))
  connection.request(deleteAddress(1), signal)
  const flags = new Set<number>()
  for (let datagram = transport.receive(); datagram !== undefined; datagram = transport.receive()) {
    const messages = new MessageReader(datagram)
    while (messages.next()) flags.add(messages.flags & NLM_F_DUMP_INTR)
  }
  t.same(
    [...flags].sort((a, b) => a - b),
    [0, NLM_F_DUMP_INTR],
  )
})
