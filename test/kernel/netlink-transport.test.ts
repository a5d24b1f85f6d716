import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_ACK, NLM_F_REQUEST, protocols } from '../../src/kernel/netlink/constants.ts'
import { dump } from '../../src/kernel/netlink/dump.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader, Writer } from '../../src/kernel/netlink/wire.ts'
import { ownNamespace } from '../support/namespace.ts'
import {
  addLink,
  deleteLink,
  getLink,
  linkBody,
  linkName,
  listLinks,
  RTM_GETLINK,
  RTM_NEWLINK,
  RTNLGRP_LINK,
} from './netlink-requests.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const open = (t: Tap, options: Partial<Parameters<typeof openTransport>[0]> = {}): Transport => {
  const transport = openTransport({ protocol: protocols.route, ...options })
  t.teardown(() => transport.close())
  return transport
}
type Tap = Pick<typeof t, 'teardown'>

t.test('a socket has an address of its own, and nothing to read', async (t) => {
  const [one, two] = [open(t), open(t)]
  t.not(one.portId, 0)
  t.not(one.portId, two.portId)
  t.equal(one.receive(), undefined)
})

t.test('requests are acknowledged or refused with the kernel’s words', async (t) => {
  const connection = new Connection(open(t))
  const add = addLink('br0')
  connection.request(add, signal)
  t.throws(() => connection.request(add, signal), { code: 'exists', errno: 17, op: 'add link br0' })
  t.throws(() => connection.request(addLink('x0', 'no-such-kind'), signal), {
    code: 'unsupported',
    detail: 'Unknown device type',
  })
  const get = getLink('br0')
  const seen: string[] = []
  connection.request(get, signal, (message) => seen.push(linkName(message)))
  connection.request(get, signal, (message) => seen.push(linkName(message)), 'reply')
  t.same(seen, ['br0', 'br0'])
  t.throws(() => connection.request(getLink('br1'), signal), { code: 'notFound', op: 'get link br1' })
  t.throws(() => connection.request(get, AbortSignal.abort(new Error('stop'))), { message: 'stop' })
})

t.test('dumps', async (t) => {
  const seen: string[] = []
  await dump(
    () => openTransport({ protocol: protocols.route }),
    listLinks,
    (message) => seen.push(linkName(message)),
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
  connection.request(addLink('br1'), signal)
  t.ok(heard().includes(RTM_NEWLINK))
  listener.leave(RTNLGRP_LINK)
  connection.request(deleteLink('br1'), signal)
  t.same(heard(), [])
  listener.join(RTNLGRP_LINK)
  connection.request(addLink('br2'), signal)
  t.ok(heard().includes(RTM_NEWLINK))
  t.throws(() => listener.join(9999), { code: 'invalid' })
})

t.test('replies beyond the receive buffer are an overflow, not silence', async (t) => {
  const transport = open(t, { receiveBuffer: 4096 })
  const writer = new Writer()
  for (let i = 1; i <= 500; i++) {
    const message = writer.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, i)
    linkBody('br9')(writer)
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
  linkBody('lo')(writer)
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
  linkBody('lo')(writer)
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

t.test('a datagram that is longer than was expected: told, with its length, and the next one fits', async (t) => {
  const connection = new Connection(open(t, { longest: 64 }))
  t.throws(() => connection.request(getLink('lo'), signal), {
    code: 'overflow',
    cause: { detail: /a datagram of \d{3,} bytes where 64 were expected/ },
  })
  const seen: string[] = []
  connection.request(getLink('lo'), signal, (message) => seen.push(linkName(message)))
  t.same(seen, ['lo'])
})

t.test('what another program sends to the socket is not taken for the kernel’s word', async (t) => {
  const transport = open(t)
  const message = new Writer()
  const start = message.message(RTM_NEWLINK, 0, 1)
  linkBody('forged')(message)
  message.endMessage(start)
  const hex = Buffer.from(message.finish()).toString('hex')
  const forge = `import socket
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
s.sendto(bytes.fromhex('${hex}'), (${transport.portId}, 0))`
  execFileSync('python3', ['-c', forge])
  t.equal(transport.receive(), undefined)
  const names: string[] = []
  execFileSync('python3', ['-c', forge])
  new Connection(transport).request(getLink('lo'), signal, (reply) => names.push(linkName(reply)))
  t.same(names, ['lo'])
})

/** Bytes of buffers that a socket gets which asks for 64 MiB, and what becomes of a request to make a link. */
const asked = (command: readonly string[]): unknown => {
  const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href)
  const code = `
    import { openTransport } from ${url('../../src/kernel/netlink/transport.js')}
    import { Connection } from ${url('../../src/kernel/netlink/connection.js')}
    import { addLink } from ${url('./netlink-requests.js')}
    const transport = openTransport({ protocol: 0, sendBuffer: 1 << 26, receiveBuffer: 1 << 26 })
    let code = 'none'
    try {
      new Connection(transport).request(addLink('by-nobody'), new AbortController().signal)
    } catch (error) {
      code = error.code
    }
    console.log(JSON.stringify({ ...transport.buffers, code }))`
  const [program = '', ...args] = [...command, process.execPath, '--input-type=module', '-e', code]
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' }))
}

t.test(
  'buffers beyond what is usual take CAP_NET_ADMIN; without it there is as much as everybody may have',
  async (t) => {
    const most = (name: string): number => 2 * Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8'))
    t.same(asked([]), { send: 1 << 27, receive: 1 << 27, code: 'none' })
    t.same(asked(['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']), {
      send: most('wmem_max'),
      receive: most('rmem_max'),
      code: 'permission',
    })
  },
)
