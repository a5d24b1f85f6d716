import { describe, expect, test } from 'vitest'
import { NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_REQUEST } from './constants.ts'
import { type DumpOptions, dump } from './dump.ts'
import { KernelError } from './error.ts'
import { ScriptedTransport, type Step } from './scripted-transport.ts'
import { MessageReader } from './wire.ts'

const { signal } = new AbortController()

// What Linux 6.18 sent, little-endian, in answer to dumps of sequence 1: RTM_NEWADDR of 127.0.0.1, the end, and NLMSG_ERROR
// EBUSY where another dump ran on the socket.
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
const lo = hex(`
  4c000000 1400 0200 01000000 9843eaac  020880fe 01000000  0800 0100 7f000001  0800 0200 7f000001  0700 0300 6c6f0000
  0800 0800 80000000  1400 0600 ffffffff ffffffff d6d02500 d6d02500`)
const done = hex('14000000 0300 0200 01000000 9843eaac  00000000')
const busy = hex('24000000 0200 0001 01000000 c1b062a9  f0ffffff  18000000 1600 0103 01000000 00000000')
// No kernel of today sends these two.
const overrun = hex('10000000 0400 0000 01000000 d2040000')
const noop = hex('10000000 0100 0000 01000000 d2040000')

const flagged = (message: Uint8Array, flags: number): Uint8Array => {
  const copy = message.slice()
  new DataView(copy.buffer).setUint16(6, 2 | flags, true)
  return copy
}
const INTR = 0x10
const join = (...messages: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(messages))
/** NLMSG_DONE with an errno, and the reason behind it where there is one. */
const failed = (errno: number, reason = ''): Uint8Array => {
  const copy = reason === '' ? done.slice() : join(done, hex(reason))
  const view = new DataView(copy.buffer)
  view.setUint32(0, copy.length, true)
  if (reason !== '') view.setUint16(6, 2 | NLM_F_ACK_TLVS, true)
  view.setInt32(16, -errno, true)
  return copy
}

interface Outcome {
  readonly seen: number
  readonly opened: readonly ScriptedTransport[]
  readonly error: unknown
}

/** Each attempt has its own script; the last one serves all that follow. */
const run = async (scripts: readonly (readonly Step[])[], options: DumpOptions = {}): Promise<Outcome> => {
  const opened: ScriptedTransport[] = []
  let seen = 0
  const open = (): ScriptedTransport => {
    const script = scripts[Math.min(opened.length, scripts.length - 1)] ?? []
    const transport = new ScriptedTransport(() => script)
    opened.push(transport)
    return transport
  }
  const restart =
    options.restart &&
    (() => {
      seen = 0
      options.restart?.()
    })
  const all = restart === undefined ? options : { ...options, restart }
  let error: unknown
  try {
    await dump(open, { op: 'list links', type: 18 }, () => void seen++, signal, all)
  } catch (thrown) {
    error = thrown
  }
  expect(
    opened.every(({ closed }) => closed),
    'every socket is closed',
  ).toBe(true)
  return { seen, opened, error }
}

describe('dump', () => {
  test('asks once, and reads until it is done: over datagrams, past what says nothing', async () => {
    const { seen, opened, error } = await run([[join(lo, lo), lo, join(noop, done)]])
    expect(error).toBeUndefined()
    expect(seen).toBe(3)
    const asked = new MessageReader(opened[0]?.sent[0] ?? new Uint8Array())
    asked.next()
    expect(asked).toMatchObject({ type: 18, flags: NLM_F_REQUEST | NLM_F_DUMP, sequence: 1 })
  })

  test('an empty one', async () => {
    expect(await run([[done]])).toMatchObject({ seen: 0, error: undefined })
  })

  test.each([
    ['another dump runs on the socket', [busy], { code: 'busy', errno: 16 }],
    ['it failed after its first part', [lo, failed(12)], { code: 'io', errno: 12 }],
    ['it failed, with a reason', [lo, failed(22, '0b000100 6e6f20676f6f6400')], { code: 'invalid', detail: 'no good' }],
    ['an attribute was missing', [failed(22, '08000500 03000000')], { detail: 'attribute 3 is missing' }],
    ['the kernel reports an overrun', [lo, overrun], { code: 'overflow' }],
    ['parts of it were lost', [lo, KernelError.ofErrno('receive', 105)], { code: 'overflow' }],
    ['it has no end', [lo], { code: 'io', detail: 'dump has no end' }],
    ['its end is cut', [lo, done.slice(0, 18)], { code: 'malformed' }],
    ['its end has no result', [hex('10000000 0300 0200 01000000 d2040000')], { code: 'malformed' }],
    ['something changed', [lo, flagged(lo, INTR), done], { code: 'interrupted' }],
    ['something changed, and only the end tells', [lo, flagged(done, INTR)], { code: 'interrupted' }],
  ] as const)('%s', async (_name, script, expected) => {
    const { error } = await run([script])
    expect(error).toBeInstanceOf(KernelError)
    expect(error).toMatchObject({ ...expected, op: expect.stringMatching(/list links|receive|decode/) })
  })

  test('starts over when something changed, over a new socket, and counts nothing twice', async () => {
    let restarts = 0
    const options = { restart: () => void restarts++ }
    const changed = [lo, lo, flagged(lo, INTR)]
    const { seen, opened, error } = await run([changed, [flagged(done, INTR)], [lo, done]], options)
    expect({ seen, error, restarts, sockets: opened.length }).toEqual({
      seen: 1,
      error: undefined,
      restarts: 2,
      sockets: 3,
    })
  })

  test('gives up in the end', async () => {
    const { opened, error } = await run([[flagged(done, INTR)]], { restart: () => {} })
    expect(error).toMatchObject({ code: 'interrupted' })
    expect(opened).toHaveLength(10)
  })

  test('other errors are no reason to start over', async () => {
    const { opened, error } = await run([[busy]], { restart: () => {} })
    expect(error).toMatchObject({ code: 'busy' })
    expect(opened).toHaveLength(1)
  })

  test('messages of different generations are no consistent dump', async () => {
    let generation = 0
    const { error } = await run([[lo, lo, done]], { generationOf: () => generation++ })
    expect(error).toMatchObject({ code: 'interrupted' })
    expect(await run([[lo, lo, done]], { generationOf: () => 7 })).toMatchObject({ seen: 2, error: undefined })
  })

  test('an abort ends the waiting', async () => {
    const stop = new AbortController()
    const again = (): ScriptedTransport => new ScriptedTransport(() => [flagged(done, INTR)])
    const options = { restart: () => stop.abort(new Error('stop')) }
    await expect(dump(again, { op: 'list', type: 18 }, () => {}, stop.signal, options)).rejects.toThrow('stop')
  })
})
