import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readAcknowledgement } from './acknowledgement.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR } from './constants.ts'
import { KernelError } from './error.ts'
import { MessageReader, Reader, Writer } from './wire.ts'

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
  return 'none'
}

describe('Writer and Reader', () => {
  test('lay attributes out as the kernel does', () => {
    const writer = new Writer(4)
    const message = writer.message(0x0a0c, 0x401, 7)
    writer.u8(1, 0xab)
    writer.u16be(2, 0x1234)
    writer.u32be(3, 0x01020304)
    writer.u64be(4, 0x0102030405060708n)
    const nest = writer.nest(5)
    writer.string(1, 'kp')
    writer.s32be(2, -4)
    writer.endNest(nest)
    writer.value(6, Uint8Array.of(1, 2, 3, 4, 5))
    writer.endMessage(message)
    expect(Buffer.from(writer.finish()).toString('hex')).toBe(
      [
        '540000000c0a01040700000000000000',
        '05000100ab000000',
        '0600020012340000',
        '0800030001020304',
        '0c0004000102030405060708',
        '14000580070001006b70000008000200fffffffc',
        '090006000102030405000000',
      ].join(''),
    )
  })

  test('read back what was written', () => {
    const attribute = fc.oneof(
      fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
      fc.record({ kind: fc.constant('u16be' as const), value: fc.nat(0xffff) }),
      fc.record({ kind: fc.constant('u16host' as const), value: fc.nat(0xffff) }),
      fc.record({ kind: fc.constant('u32be' as const), value: fc.nat(0xffffffff) }),
      fc.record({ kind: fc.constant('u32host' as const), value: fc.nat(0xffffffff) }),
      fc.record({ kind: fc.constant('s32be' as const), value: fc.integer() }),
      fc.record({ kind: fc.constant('u64be' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
      fc.record({
        kind: fc.constant('string' as const),
        value: fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
      }),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), attribute)), (attributes) => {
        const writer = new Writer(1)
        for (const [type, { kind, value }] of attributes) {
          if (kind === 'string') writer.string(type, value)
          else if (kind === 'u64be') writer.u64be(type, value)
          else writer[kind](type, value)
        }
        const reader = new Reader(writer.finish())
        for (const [type, { kind, value }] of attributes) {
          expect(reader.next()).toBe(true)
          expect(reader.type).toBe(type)
          expect(reader[kind]()).toBe(value)
        }
        expect(reader.next()).toBe(false)
      }),
    )
  })

  test('a string beyond ASCII is measured in bytes', () => {
    const writer = new Writer(8)
    writer.string(1, 'aé')
    expect(Buffer.from(writer.finish()).toString('hex')).toBe('0800010061c3a900')
  })

  test('an attribute of 64 KiB has no length', () => {
    const writer = new Writer()
    expect(codeOf(() => writer.value(1, new Uint8Array(65532)))).toBe('tooLarge')
    const nested = new Writer()
    const nest = nested.nest(1)
    for (let i = 0; i < 2; i++) nested.value(1, new Uint8Array(40000))
    expect(codeOf(() => nested.endNest(nest))).toBe('tooLarge')
  })

  test('the wrong width is an error, not another number', () => {
    const writer = new Writer()
    writer.u32be(1, 5)
    const reader = new Reader(writer.finish())
    reader.next()
    expect(codeOf(() => reader.u16be())).toBe('malformed')
    expect(codeOf(() => reader.u8())).toBe('malformed')
    expect(codeOf(() => reader.u64be())).toBe('malformed')
    expect(reader.u32be()).toBe(5)
  })

  test('anything that is cut off is malformed', () => {
    const writer = new Writer()
    const message = writer.message(0x0a0c, 1, 7)
    writer.u32be(1, 5)
    writer.string(2, 'endpoints')
    writer.endMessage(message)
    const whole = writer.finish()
    for (let length = 1; length < whole.length; length++) {
      const messages = new MessageReader(whole.subarray(0, length))
      expect(
        codeOf(() => messages.next()),
        `${length} bytes`,
      ).toBe('malformed')
    }
  })

  test('arbitrary bytes are walked or refused, never read beyond their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const walk = (): void => {
          const messages = new MessageReader(bytes)
          while (messages.next()) {
            expect(messages.end).toBeLessThanOrEqual(bytes.length)
            const attributes = messages.attributes(0)
            while (attributes.next()) expect(attributes.end).toBeLessThanOrEqual(messages.end)
          }
        }
        expect(['none', 'malformed']).toContain(codeOf(walk))
      }),
    )
  })
})

describe('readAcknowledgement', () => {
  const errorMessage = (errno: number, flags: number, echoed: number, detail?: string, offset?: number): Uint8Array => {
    const writer = new Writer()
    const message = writer.message(NLMSG_ERROR, flags, 3)
    const at = writer.reserve(20)
    writer.view.setInt32(at, -errno, true)
    writer.view.setUint32(at + 4, 16 + echoed, true)
    if ((flags & NLM_F_CAPPED) === 0 && errno !== 0) writer.reserve(echoed)
    if (detail !== undefined) writer.string(1, detail)
    if (offset !== undefined) writer.u32host(2, offset)
    writer.endMessage(message)
    return writer.finish()
  }
  const read = (bytes: Uint8Array): unknown => {
    const messages = new MessageReader(bytes)
    messages.next()
    return readAcknowledgement(messages)
  }

  test('reads what the kernel adds, whether the request is echoed or not', () => {
    const expected = { errno: 22, detail: 'no such thing', offset: 40 }
    expect(read(errorMessage(22, NLM_F_ACK_TLVS | NLM_F_CAPPED, 100, 'no such thing', 40))).toEqual(expected)
    expect(read(errorMessage(22, NLM_F_ACK_TLVS, 100, 'no such thing', 40))).toEqual(expected)
    expect(read(errorMessage(0, NLM_F_CAPPED, 0))).toEqual({ errno: 0, detail: undefined, offset: undefined })
  })

  test('an echo that is longer than there are bytes has no reason behind it', () => {
    for (const length of [0, 15, 0x7fffffff, 0xfffffff0, 0xffffffff]) {
      const bytes = errorMessage(22, NLM_F_ACK_TLVS, 0, 'no such thing', 40).slice()
      new DataView(bytes.buffer).setUint32(20, length, true)
      let result: unknown
      const code = codeOf(() => {
        result = read(bytes)
      })
      if (length < 16) expect(result).toMatchObject({ errno: 22, detail: 'no such thing' })
      else expect([code, result]).toEqual(['none', { errno: 22, detail: undefined, offset: undefined }])
    }
  })

  test('every truncation is malformed or the same error without what was cut off', () => {
    const whole = errorMessage(22, NLM_F_ACK_TLVS | NLM_F_CAPPED, 0, 'no such thing', 40)
    for (let length = 16; length < whole.length; length++) {
      const cut = whole.slice(0, length)
      new DataView(cut.buffer).setUint32(0, length, true)
      let result: unknown
      const code = codeOf(() => {
        result = read(cut)
      })
      if (code === 'none') expect(result).toMatchObject({ errno: 22 })
      else expect(code).toBe('malformed')
    }
  })
})
