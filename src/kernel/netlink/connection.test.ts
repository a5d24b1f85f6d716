import { describe, expect, test } from 'vitest'
import { Connection } from './connection.ts'
import {
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NLMSG_NOOP,
  NLMSG_OVERRUN,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './constants.ts'
import { KernelError } from './error.ts'
import type { Request } from './request.ts'
import { ScriptedTransport, type Step } from './scripted-transport.ts'
import { MessageReader, Writer } from './wire.ts'

const { signal } = new AbortController()
const ENOBUFS = 105
const overflow = (): KernelError => KernelError.ofErrno('receive netlink datagram', ENOBUFS)

const message = (type: number, sequence: number, flags = 0, body: (writer: Writer) => void = () => {}): Uint8Array => {
  const writer = new Writer()
  const start = writer.message(type, flags, sequence)
  body(writer)
  writer.endMessage(start)
  return writer.finish()
}

/** As netlink_ack() makes them with NETLINK_CAP_ACK and NETLINK_EXT_ACK. */
const answer = (sequence: number, errno = 0, reason?: string, offset?: number): Uint8Array => {
  const extended = reason === undefined ? 0 : NLM_F_ACK_TLVS
  return message(NLMSG_ERROR, sequence, NLM_F_CAPPED | extended, (writer) => {
    const at = writer.reserve(20)
    writer.view.setInt32(at, -errno, true)
    if (reason !== undefined) writer.string(NLMSGERR_ATTR_MSG, reason)
    if (offset !== undefined) writer.u32host(NLMSGERR_ATTR_OFFS, offset)
  })
}

interface Sent {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly bytes: number
}

const messagesOf = (datagram: Uint8Array): readonly Sent[] => {
  const found: Sent[] = []
  const messages = new MessageReader(datagram)
  while (messages.next())
    found.push({
      type: messages.type,
      flags: messages.flags,
      sequence: messages.sequence,
      bytes: messages.end - messages.at,
    })
  return found
}

/** A kernel that refuses messages of type 99, and acknowledges what asks for it. */
const kernel = (sent: Uint8Array): readonly Step[] =>
  messagesOf(sent).flatMap(({ type, flags, sequence }) => {
    if (type === 99) return [answer(sequence, 17, 'there already', 20)]
    return (flags & NLM_F_ACK) === 0 ? [] : [answer(sequence)]
  })

const request = (type: number, size = 0): Request => ({
  op: `do ${type}`,
  type,
  body: (writer) => void writer.reserve(size),
})

describe('request', () => {
  test('passes over what an earlier exchange left behind', () => {
    const transport = new ScriptedTransport((sent) => [answer(77, 1), message(NLMSG_NOOP, 1), ...kernel(sent)])
    new Connection(transport).request(request(20), signal)
    expect(messagesOf(transport.sent[0] ?? new Uint8Array())).toEqual([
      { type: 20, flags: NLM_F_REQUEST | NLM_F_ACK, sequence: 1, bytes: 16 },
    ])
  })

  test('an overflow is told as such, and what still waits is read away: the kernel drops until then', () => {
    const transport = new ScriptedTransport(kernel)
    const connection = new Connection(transport)
    transport.push(overflow(), answer(5), overflow(), answer(6))
    expect(() => connection.request(request(20), signal)).toThrow(
      expect.objectContaining({ code: 'overflow', op: 'do 20', errno: ENOBUFS }),
    )
    expect(transport.waiting).toBe(0)
    connection.request(request(20), signal)
  })

  test.each([
    ['silence', [], 'io'],
    ['an overrun', [message(NLMSG_OVERRUN, 0)], 'overflow'],
    ['half a message', [answer(1).slice(0, 19)], 'malformed'],
    ['an error without its number', [message(NLMSG_ERROR, 1)], 'malformed'],
  ] as const)('%s', (_name, steps, code) => {
    const connection = new Connection(new ScriptedTransport(() => steps))
    expect(() => connection.request(request(20), signal)).toThrow(expect.objectContaining({ code }))
  })
})

describe('exchange', () => {
  const exchange = async (requests: readonly Request[], buffers?: { send: number; receive: number }) => {
    const transport = new ScriptedTransport(kernel, buffers)
    const refusals = await new Connection(transport).exchange(requests, signal)
    return { refusals, datagrams: transport.sent.map(messagesOf) }
  }

  test('one datagram, of which the last message asks for an answer', async () => {
    const { refusals, datagrams } = await exchange([request(20, 1), request(21), request(22, 4)])
    expect(refusals).toEqual([])
    expect(datagrams).toEqual([
      [
        { type: 20, flags: NLM_F_REQUEST, sequence: 1, bytes: 17 },
        { type: 21, flags: NLM_F_REQUEST, sequence: 2, bytes: 16 },
        { type: 22, flags: NLM_F_REQUEST | NLM_F_ACK, sequence: 3, bytes: 20 },
      ],
    ])
  })

  test('refusals by index, with what the kernel said; the last one too', async () => {
    const { refusals } = await exchange([request(99), request(21), request(99)])
    expect(refusals.map(({ index }) => index)).toEqual([0, 2])
    expect(refusals[1]?.error).toMatchObject({ code: 'exists', op: 'do 99', detail: 'there already', offset: 20 })
  })

  test('nothing to do is nothing sent', async () => {
    expect(await exchange([])).toEqual({ refusals: [], datagrams: [] })
  })

  test('as many as the receive buffer holds answers for, and not more bytes than the send buffer takes', async () => {
    const many = Array.from({ length: 10 }, () => request(20, 84))
    const byAnswers = await exchange(many, { send: 212_992, receive: 4 * 2048 })
    expect(byAnswers.datagrams.map(({ length }) => length)).toEqual([4, 4, 2])
    const byBytes = await exchange(many, { send: 300 + 32, receive: 212_992 })
    expect(byBytes.datagrams.map(({ length }) => length)).toEqual([3, 3, 3, 1])
    const sequences = byBytes.datagrams.flat().map(({ sequence }) => sequence)
    expect(new Set(sequences).size).toBe(10)
    const unsized = await exchange(Array.from({ length: 200 }, () => request(20)))
    expect(unsized.datagrams.map(({ length }) => length)).toEqual([104, 96])
    const long = await exchange(
      Array.from({ length: 5 }, () => request(20, 100_000)),
      { send: 1 << 24, receive: 1 << 24 },
    )
    expect(long.datagrams.map(({ length }) => length)).toEqual([2, 2, 1])
  })

  test('what cannot be sent is refused here, and does not stop the others', async () => {
    const unwritable: Request = { op: 'too wide', type: 20, body: (writer) => writer.u8(1, 256) }
    const requests = [request(20), request(20, 1000), unwritable, request(99), request(20, 1000)]
    const { refusals, datagrams } = await exchange(requests, { send: 500, receive: 212_992 })
    expect(refusals.map(({ index, error: { code } }) => [index, code])).toEqual([
      [1, 'tooLarge'],
      [2, 'invalid'],
      [3, 'exists'],
      [4, 'tooLarge'],
    ])
    expect(datagrams.flat().map(({ type }) => type)).toEqual([20, 99])
    const none = await exchange([request(20, 1000)], { send: 500, receive: 212_992 })
    expect(none.refusals).toHaveLength(1)
    expect(none.datagrams).toEqual([])
  })

  test('an error that is no refusal comes through', async () => {
    const broken: Request = {
      op: 'broken',
      type: 20,
      body: () => {
        throw new TypeError('a fault of the program')
      },
    }
    await expect(exchange([broken])).rejects.toThrow(TypeError)
  })

  test('replies come with the index of their request', async () => {
    const transport = new ScriptedTransport((sent) => [
      ...messagesOf(sent).map(({ type, sequence }) => message(type, sequence)),
      ...kernel(sent),
    ])
    const heard: unknown[] = []
    await new Connection(transport).exchange([request(20), request(21)], signal, (reply, index) => {
      heard.push([reply.type, index])
    })
    expect(heard).toEqual([
      [20, 0],
      [21, 1],
    ])
  })

  test('lost answers: nothing is known, nothing more is sent, and the next request works', async () => {
    let lost = true
    const transport = new ScriptedTransport((sent) => (lost ? [answer(1, 17), overflow(), answer(9)] : kernel(sent)), {
      send: 212_992,
      receive: 2 * 2048,
    })
    const connection = new Connection(transport)
    const requests = [request(99), request(20), request(20)]
    await expect(connection.exchange(requests, signal)).rejects.toMatchObject({
      code: 'overflow',
      op: 'do 99 and 1 more',
      detail: expect.stringContaining('unknown'),
    })
    expect(transport.sent).toHaveLength(1)
    lost = false
    expect(await connection.exchange(requests, signal)).toHaveLength(1)
  })

  test('between two datagrams other work has its turn, other requests too, and an abort is heard', async () => {
    const transport = new ScriptedTransport(kernel, { send: 212_992, receive: 2048 })
    const connection = new Connection(transport)
    const stop = new AbortController()
    const work = connection.exchange([request(20), request(99), request(20)], stop.signal)
    expect(transport.sent).toHaveLength(1)
    connection.request(request(30), signal)
    await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new Error('stop'))
    await expect(work).rejects.toThrow('stop')
    expect(transport.sent.length).toBeLessThan(4)
    await expect(connection.exchange([request(20)], stop.signal)).rejects.toThrow('stop')
  })
})
