import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Connection, dump } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_ACK, NLM_F_REQUEST, protocols } from '../../src/kernel/netlink/constants.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader, Writer } from '../../src/kernel/netlink/wire.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const IFLA_IFNAME = 3
const IFLA_LINKINFO = 18
const IFLA_INFO_KIND = 1
const RTNLGRP_LINK = 1
const create = 0x600

const open = (t: Tap, options: Partial<Parameters<typeof openTransport>[0]> = {}): Transport => {
  const transport = openTransport({ protocol: protocols.route, ...options })
  t.teardown(() => transport.close())
  return transport
}
type Tap = Pick<typeof t, 'teardown'>

const link =
  (name: string, kind?: string) =>
  (writer: Writer): void => {
    writer.reserve(16)
    writer.string(IFLA_IFNAME, name)
    if (kind === undefined) return
    const info = writer.nest(IFLA_LINKINFO)
    writer.string(IFLA_INFO_KIND, kind)
    writer.endNest(info)
  }

const nameOf = (message: MessageReader): string => {
  const attributes = message.attributes(16)
  while (attributes.next()) if (attributes.type === IFLA_IFNAME) return attributes.string()
  return ''
}

t.test('a socket has an address of its own, and nothing to read', async (t) => {
  const [one, two] = [open(t), open(t)]
  t.not(one.portId, 0)
  t.not(one.portId, two.portId)
  t.equal(one.receive(), undefined)
})

t.test('requests are acknowledged or refused with the kernel’s words', async (t) => {
  const connection = new Connection(open(t))
  const add = { op: 'add link', type: RTM_NEWLINK, flags: create, body: link('br0', 'bridge') }
  connection.request(add, signal)
  t.throws(() => connection.request(add, signal), { code: 'exists', errno: 17, op: 'add link' })
  const unknown = { ...add, body: link('x0', 'no-such-kind') }
  t.throws(() => connection.request(unknown, signal), { code: 'unsupported', detail: 'Unknown device type' })
  const get = { op: 'get link', type: RTM_GETLINK, body: link('br0') }
  const seen: string[] = []
  connection.request(get, signal, (message) => seen.push(nameOf(message)))
  connection.request(get, signal, (message) => seen.push(nameOf(message)), 'reply')
  t.same(seen, ['br0', 'br0'])
  const missing = { op: 'get link', type: RTM_GETLINK, body: link('br1') }
  t.throws(() => connection.request(missing, signal), { code: 'notFound', op: 'get link' })
  t.throws(() => connection.request(get, AbortSignal.abort(new Error('stop'))), { message: 'stop' })
})

t.test('dumps', async (t) => {
  const seen: string[] = []
  const request = { op: 'list links', type: RTM_GETLINK, body: (writer: Writer) => void writer.reserve(16) }
  await dump(
    () => openTransport({ protocol: protocols.route }),
    request,
    (message) => seen.push(nameOf(message)),
    signal,
  )
  t.same(seen.sort(), ['br0', 'lo'])
})

t.test('groups are joined and left', async (t) => {
  const connection = new Connection(open(t))
  const listener = open(t, { groups: [RTNLGRP_LINK] })
  const heard = (): readonly number[] => {
    const types: number[] = []
    for (;;) {
      const datagram = listener.receive()
      if (datagram === undefined) return types
      const messages = new MessageReader(datagram)
      while (messages.next()) types.push(messages.type)
    }
  }
  connection.request({ op: 'add', type: RTM_NEWLINK, flags: create, body: link('br1', 'bridge') }, signal)
  t.ok(heard().includes(RTM_NEWLINK))
  listener.leave(RTNLGRP_LINK)
  connection.request({ op: 'delete', type: RTM_DELLINK, body: link('br1') }, signal)
  t.same(heard(), [])
  listener.join(RTNLGRP_LINK)
  connection.request({ op: 'add', type: RTM_NEWLINK, flags: create, body: link('br2', 'bridge') }, signal)
  t.ok(heard().includes(RTM_NEWLINK))
  t.throws(() => listener.join(9999), { code: 'invalid' })
})

t.test('replies beyond the receive buffer are an overflow, not silence', async (t) => {
  const transport = open(t, { receiveBuffer: 4096 })
  const writer = new Writer()
  for (let i = 1; i <= 500; i++) {
    const message = writer.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, i)
    link('br9')(writer)
    writer.endMessage(message)
  }
  transport.send(writer.finish())
  t.throws(() => transport.receive(), { code: 'overflow' })
  let left = 0
  while (transport.receive() !== undefined) left++
  t.ok(left > 0 && left < 500, `${left} answers were kept`)
})

t.test('a datagram beyond the send buffer is too large; a larger buffer takes it', async (t) => {
  const writer = new Writer()
  const message = writer.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, 1)
  link('lo')(writer)
  writer.reserve(1024 * 1024)
  writer.endMessage(message)
  const small = open(t)
  t.throws(() => small.send(writer.finish()), { code: 'tooLarge' })
  await t.rejects(small.sendAsync(writer.finish(), signal), { code: 'tooLarge', errno: 90 })
  const large = open(t, { sendBuffer: 4 * 1024 * 1024 })
  large.send(writer.finish())
  t.ok(large.receive())
})

t.test('sending on a thread: the replies are there when it has ended', async (t) => {
  const transport = open(t)
  const writer = new Writer()
  const message = writer.message(RTM_GETLINK, NLM_F_REQUEST, 7)
  link('lo')(writer)
  writer.endMessage(message)
  await transport.sendAsync(writer.finish(), signal)
  const messages = new MessageReader(transport.receive() ?? new Uint8Array())
  t.ok(messages.next())
  t.match(messages, { sequence: 7, portId: transport.portId })
  await t.rejects(transport.sendAsync(writer.finish(), AbortSignal.abort(new Error('stop'))), { message: 'stop' })
  await sleep(5)
  t.equal(transport.receive(), undefined, 'nothing was sent')
})

t.test('an unknown protocol, and closing twice', async (t) => {
  t.throws(() => openTransport({ protocol: 99 }), { code: 'unsupported' })
  const transport = openTransport({ protocol: protocols.route })
  transport.close()
  t.doesNotThrow(() => transport.close())
})
