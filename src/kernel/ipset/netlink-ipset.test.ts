import { describe, expect, test } from 'vitest'
import { QueuedTransport } from '../../../test/support/queued-transport.ts'
import type { Port } from '../../model/port.ts'
import { NLM_F_CAPPED, NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import type { Transport } from '../netlink/transport.ts'
import { MessageReader, Writer } from '../netlink/wire.ts'
import type { Ipset, SetSpec } from './ipset.ts'
import { portMember } from './member.ts'
import { NetlinkIpset, openIpset } from './netlink-ipset.ts'

const { signal } = new AbortController()

const PROTOCOL = 0x601
const CREATE = 0x602
const SWAP = 0x606
const LIST = 0x607
const ADD = 0x609
const HEADER = 0x60c
const TYPE = 0x60d

const set: SetSpec = { name: 'WEIR-NP', type: 'bitmap:port', family: 'IPv4', maxElements: 0 }
const member = portMember(80 as Port)

/** A negative errno, or what comes behind the nfgenmsg of an answer; several for the messages of a dump. */
type Answer = number | ((writer: Writer) => void)
type Answers = Readonly<Record<number, (attempt: number) => readonly Answer[]>>

const offer =
  (most: number, mostType: number, least: number): Answer =>
  (writer) => {
    writer.u8(mostType, most)
    writer.u8(10, least)
  }
const usual: Answers = {
  [PROTOCOL]: () => [offer(7, 1, 6)],
  [TYPE]: () => [offer(3, 4, 0)],
  [CREATE]: () => [0],
  [SWAP]: () => [0],
}

/** A kernel that answers as it is told. Without an answer it says EINVAL, as nfnetlink where there is no ipset. */
class Scripted extends QueuedTransport {
  /** Message types. */
  readonly asked: number[] = []
  /** Whole requests. */
  readonly requests: Uint8Array[] = []
  readonly #answers: Answers

  constructor(answers: Answers) {
    super()
    this.#answers = answers
  }

  send(bytes: Uint8Array): void {
    const request = new MessageReader(bytes)
    request.next()
    const attempt = this.asked.filter((type) => type === request.type).length
    this.asked.push(request.type)
    this.requests.push(bytes.slice())
    const isDump = request.type === LIST
    const answers = this.#answers[request.type]?.(attempt) ?? [-22]
    const messages = answers.map((answer) => {
      const writer = new Writer()
      const flags = typeof answer === 'number' ? NLM_F_CAPPED : isDump ? NLM_F_MULTI : 0
      const at = writer.message(typeof answer === 'number' ? NLMSG_ERROR : request.type, flags, request.sequence)
      if (typeof answer === 'number') {
        const error = writer.reserve(20)
        writer.view.setInt32(error, answer, true)
      } else {
        writer.reserve(4)
        answer(writer)
      }
      writer.endMessage(at)
      return writer.finish()
    })
    if (isDump) {
      const writer = new Writer()
      const at = writer.message(NLMSG_DONE, NLM_F_MULTI, request.sequence)
      writer.reserve(4)
      writer.endMessage(at)
      messages.push(writer.finish())
    }
    this.waiting.push(...messages)
  }

  /** Answers `request` after all. */
  late(errno: number, request: Uint8Array | undefined): void {
    const asked = new MessageReader(request ?? new Uint8Array())
    asked.next()
    const writer = new Writer()
    const at = writer.message(NLMSG_ERROR, NLM_F_CAPPED, asked.sequence)
    const error = writer.reserve(20)
    writer.view.setInt32(error, errno, true)
    writer.endMessage(at)
    this.waiting.push(writer.finish())
  }
}

const against = (answers: Answers): { readonly kernel: Scripted; readonly ipset: NetlinkIpset } => {
  const kernel = new Scripted({ ...usual, ...answers })
  return { kernel, ipset: new NetlinkIpset({ open: () => kernel }) }
}

const calls: readonly [string, (ipset: Ipset, signal: AbortSignal) => Promise<unknown>][] = [
  ['create', (ipset, signal) => ipset.create(set, signal)],
  ['destroy', (ipset, signal) => ipset.destroy('WEIR-NP', signal)],
  ['swap', (ipset, signal) => ipset.swap('WEIR-NP', 'WEIR-B', signal)],
  ['list', (ipset, signal) => ipset.members(set, signal)],
  ['add', (ipset, signal) => ipset.add(set, [member], signal)],
  ['remove', (ipset, signal) => ipset.remove(set, [member], signal)],
]

const withoutIpset: readonly [string, () => Transport][] = [
  ['nfnetlink without ipset', () => new Scripted({})],
  [
    'no nfnetlink',
    () => {
      throw KernelError.ofErrno('socket(AF_NETLINK)', 93)
    },
  ],
]

describe.each(withoutIpset)('%s', (_, open) => {
  const ipset = openIpset({ open })

  test('there are no sets', async () => {
    expect(await ipset.list(signal)).toEqual([])
  })

  test.each(calls)('%s fails as unsupported', async (verb, call) => {
    await expect(call(ipset, signal)).rejects.toMatchObject({
      name: 'IpsetError',
      code: 'unsupported',
      op: expect.stringMatching(`^${verb} WEIR-NP`),
      message: expect.stringMatching(/: the kernel has no ipset$/),
    })
  })
})

describe('any call', () => {
  test.each([...calls, ['list sets', (ipset: Ipset, signal: AbortSignal) => ipset.list(signal)] as const])(
    '%s fails with the reason of an aborted signal, and asks nothing',
    async (_, call) => {
      const { kernel, ipset } = against({})
      await expect(call(ipset, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
      expect(kernel.asked).toEqual([])
    },
  )

  test('the lack of CAP_NET_ADMIN is not taken for the lack of ipset', async () => {
    const { ipset } = against({ [PROTOCOL]: () => [-1] })
    await expect(ipset.list(signal)).rejects.toMatchObject({ code: 'permission', cause: { errno: 1 } })
    await expect(ipset.create(set, signal)).rejects.toMatchObject({ code: 'permission' })
  })

  test('an answer that lacks what it must hold is an error', async () => {
    const { ipset } = against({ [PROTOCOL]: () => [(writer) => writer.u8(1, 7)] })
    await expect(ipset.list(signal)).rejects.toMatchObject({ code: 'io', cause: { code: 'malformed' } })
  })

  test.each(['', 'x'.repeat(32), 'é'.repeat(16), 'A\0B'])('%j is no name', async (name) => {
    const { kernel, ipset } = against({})
    await expect(ipset.create({ ...set, name }, signal)).rejects.toMatchObject({ code: 'invalid' })
    await expect(ipset.destroy(name, signal)).rejects.toMatchObject({ code: 'invalid' })
    await expect(ipset.swap('A', name, signal)).rejects.toMatchObject({ code: 'invalid' })
    expect(kernel.asked).toEqual([])
  })
})

/** The value of the first attribute of that type, one byte, behind nlmsghdr and nfgenmsg. */
const byteOf = (request: Uint8Array | undefined, type: number): number | undefined => {
  const messages = new MessageReader(request ?? new Uint8Array())
  messages.next()
  const attributes = messages.attributes(4)
  while (attributes.next()) if (attributes.type === type) return attributes.u8()
  return undefined
}

describe('what is agreed upon', () => {
  test.each([
    [7, 6, 7],
    [6, 6, 6],
    [9, 6, 7],
  ])('a kernel of protocol %i, at least %i, is spoken to in %i', async (most, least, spoken) => {
    const { kernel, ipset } = against({ [PROTOCOL]: () => [offer(most, 1, least)] })
    await ipset.create(set, signal)
    await ipset.swap('A', 'B', signal)
    expect(kernel.asked).toEqual([PROTOCOL, TYPE, CREATE, SWAP])
    expect(kernel.requests.slice(1).map((request) => byteOf(request, 1))).toEqual([spoken, spoken, spoken])
  })

  test.each([
    [9, 8],
    [5, 4],
  ])('a kernel of protocol %i, at least %i, is not', async (most, least) => {
    const { ipset } = against({ [PROTOCOL]: () => [offer(most, 1, least)] })
    const expected = { code: 'unsupported', message: expect.stringContaining(`protocol ${least} to ${most}`) }
    await expect(ipset.create(set, signal)).rejects.toMatchObject(expected)
    await expect(ipset.list(signal)).rejects.toMatchObject(expected)
  })

  test.each([
    [3, 0, 3],
    [1, 0, 1],
    [9, 2, 3],
  ])('of the revisions up to %i, from %i on, a set gets %i', async (most, least, chosen) => {
    const { kernel, ipset } = against({ [TYPE]: () => [offer(most, 4, least)] })
    await ipset.create(set, signal)
    expect(byteOf(kernel.requests.at(-1), 4)).toBe(chosen)
  })

  test('a type that has left behind all known revisions, or that is missing, is unsupported', async () => {
    await expect(against({ [TYPE]: () => [offer(9, 4, 5)] }).ipset.create(set, signal)).rejects.toMatchObject({
      code: 'unsupported',
    })
    await expect(against({ [TYPE]: () => [-4098] }).ipset.create(set, signal)).rejects.toMatchObject({
      code: 'unsupported',
      cause: { errno: 4098 },
    })
  })
})

describe('swap', () => {
  test('waits while someone reads the set', async () => {
    const { kernel, ipset } = against({ [SWAP]: (attempt) => [attempt < 3 ? -16 : 0] })
    await ipset.swap('A', 'B', signal)
    expect(kernel.asked.filter((type) => type === SWAP)).toHaveLength(4)
  })

  test('gives up when that does not end, and at once when aborted', async () => {
    const { ipset } = against({ [SWAP]: () => [-16] })
    await expect(ipset.swap('A', 'B', signal)).rejects.toMatchObject({ code: 'busy', op: 'swap A B' })
    const stop = new AbortController()
    const stopped = ipset.swap('A', 'B', stop.signal)
    stop.abort(new Error('enough'))
    await expect(stopped).rejects.toThrow('enough')
  })
})

describe('members', () => {
  const header = (type: string): Answer => {
    return (writer) => {
      writer.string(2, set.name)
      writer.string(3, type)
      writer.u8(5, 0)
    }
  }
  const listOf =
    (...ports: readonly number[]): Answer =>
    (writer) => {
      writer.string(2, set.name)
      const list = writer.nest(8)
      for (const port of ports) {
        const data = writer.nest(7)
        writer.u16be(4, port)
        writer.endNest(data)
      }
      writer.endNest(list)
    }

  test('of all messages, each once', async () => {
    const { ipset } = against({ [LIST]: () => [header('bitmap:port'), listOf(1, 2), listOf(2, 3)] })
    expect(await ipset.members(set, signal)).toEqual(['1', '2', '3'])
  })

  test('of a set of another type are refused', async () => {
    const { ipset } = against({ [LIST]: () => [header('hash:ip'), listOf(1)] })
    await expect(ipset.members(set, signal)).rejects.toMatchObject({ code: 'typeMismatch' })
  })

  test('are not added to a set of another type', async () => {
    const { kernel, ipset } = against({ [HEADER]: () => [header('bitmap:ip')] })
    await expect(ipset.add(set, [member], signal)).rejects.toMatchObject({ code: 'typeMismatch', op: 'add WEIR-NP' })
    expect(kernel.asked).toEqual([PROTOCOL, HEADER])
  })

  test('a set that goes between two messages is no fault of a member', async () => {
    const { ipset } = against({ [HEADER]: () => [header('bitmap:port')], [ADD]: () => [-2] })
    const error = await ipset.add(set, [member], signal).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'notFound', member: undefined, message: 'add WEIR-NP: no such set (ENOENT)' })
  })

  test('no answer is an error, and a late one is not taken for that of the next message', async () => {
    const sockets: Scripted[] = []
    const open = (): Transport => {
      const answers: Answers = {
        ...usual,
        [HEADER]: () => [header('bitmap:port')],
        [ADD]: (attempt) => (attempt === 0 ? [] : [0]),
      }
      const socket = new Scripted(answers)
      sockets.push(socket)
      return socket
    }
    const ipset = new NetlinkIpset({ open })
    await expect(ipset.add(set, [member], signal)).rejects.toMatchObject({ code: 'io', op: 'add WEIR-NP' })
    const writer = sockets.find(({ asked }) => asked.includes(ADD))
    writer?.late(-2, writer.requests.at(-1))
    await ipset.add(set, [member], signal)
    expect(writer?.asked).toEqual([ADD, ADD])
    expect(writer?.receive()).toBe(undefined)
  })

  test('no members, no message', async () => {
    const { kernel, ipset } = against({})
    await ipset.add(set, [], signal)
    await ipset.remove(set, [], signal)
    expect(kernel.asked).toEqual([])
  })

  test('a message with anything else between the members is an error', async () => {
    const odd: Answer = (writer) => {
      writer.string(2, set.name)
      const list = writer.nest(8)
      writer.u8(6, 1)
      writer.endNest(list)
    }
    const { ipset } = against({ [LIST]: () => [header('bitmap:port'), odd] })
    await expect(ipset.members(set, signal)).rejects.toMatchObject({ code: 'io', cause: { code: 'malformed' } })
  })
})
