import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readAcknowledgement, readDone } from './acknowledgement.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_DONE, NLMSG_ERROR, NLMSG_HDRLEN } from './constants.ts'
import { KernelError } from './error.ts'
import { readFamily } from './generic.ts'
import { littleEndian, MessageReader, Reader, Writer } from './wire.ts'

const u64 = fc.bigInt(0n, 2n ** 64n - 1n)

/** Whatever an attribute may hold; numbers know where their bytes are, in which order and how many. */
const scalar = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constantFrom('u16be' as const, 'u16host' as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constantFrom('u32be' as const, 'u32host' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constantFrom('s32be' as const, 's32host' as const), value: fc.integer() }),
  fc.record({ kind: fc.constantFrom('u64be' as const, 'u64host' as const), value: u64 }),
)
const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'))
const leaf = fc.oneof(
  scalar,
  fc.record({ kind: fc.constant('string' as const), value: text }),
  fc.record({ kind: fc.constant('text' as const), value: text }),
  fc.record({ kind: fc.constant('value' as const), value: fc.uint8Array({ maxLength: 40 }) }),
  fc.record({ kind: fc.constant('flag' as const) }),
)

type Leaf = typeof leaf extends fc.Arbitrary<infer T> ? T : never
interface Attribute {
  readonly type: number
  readonly content: Leaf | { readonly kind: 'nest'; readonly items: readonly Attribute[] }
}

const { attributes } = fc.letrec<{ attributes: Attribute[]; attribute: Attribute; nest: Attribute['content'] }>(
  (tie) => ({
    attributes: fc.array(tie('attribute'), { maxLength: 5 }),
    nest: fc.record({ kind: fc.constant('nest' as const), items: tie('attributes') }),
    attribute: fc.record({
      type: fc.integer({ min: 0, max: 0x3fff }),
      content: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('nest')),
    }),
  }),
)

const write = (writer: Writer, list: readonly Attribute[]): void => {
  for (const { type, content } of list)
    switch (content.kind) {
      case 'nest': {
        const nest = writer.nest(type)
        write(writer, content.items)
        writer.endNest(nest)
        break
      }
      case 'flag':
        writer.flag(type)
        break
      case 'value':
        writer.value(type, content.value)
        break
      case 'text':
        writer.value(type, new TextEncoder().encode(content.value))
        break
      case 'string':
        writer.string(type, content.value)
        break
      case 'u64be':
      case 'u64host':
        writer[content.kind](type, content.value)
        break
      default:
        writer[content.kind](type, content.value)
    }
}

/** Reads what `like` describes. */
const read = (reader: Reader, like: readonly Attribute[]): readonly Attribute[] => {
  const found = like.map(({ content }): Attribute => {
    expect(reader.next()).toBe(true)
    return { type: reader.type, content: readContent(reader, content) }
  })
  expect(reader.next()).toBe(false)
  return found
}

const readContent = (reader: Reader, like: Attribute['content']): Attribute['content'] => {
  switch (like.kind) {
    case 'nest':
      return { kind: 'nest', items: read(reader.nested(), like.items) }
    case 'flag':
      expect(reader.end - reader.start).toBe(0)
      return { kind: 'flag' }
    case 'value':
      return { kind: 'value', value: reader.value().slice() }
    case 'text':
    case 'string':
      return { kind: like.kind, value: reader.string() }
    case 'u64be':
    case 'u64host':
      return { kind: like.kind, value: reader[like.kind]() }
    default:
      return { kind: like.kind, value: reader[like.kind]() } as Leaf
  }
}

const encode = (list: readonly Attribute[], capacity = 1): Uint8Array<ArrayBuffer> => {
  const writer = new Writer(capacity)
  const message = writer.message(16, 1, 7)
  write(writer, list)
  writer.endMessage(message)
  return writer.finish()
}

/** Walks everything there may be in the bytes, taking every attribute for a nest as well; the steps it took. */
const walk = (bytes: Uint8Array): number => {
  let steps = 0
  const inside = (reader: Reader, from: number, to: number): void => {
    while (reader.next()) {
      steps++
      expect(reader.start).toBeGreaterThanOrEqual(from)
      expect(reader.end).toBeGreaterThanOrEqual(reader.start)
      expect(reader.end).toBeLessThanOrEqual(to)
      const { start, end } = reader
      tolerate(() => inside(reader.nested(), start, end))
    }
  }
  const messages = new MessageReader(bytes)
  while (messages.next()) {
    steps++
    expect(messages.end).toBeLessThanOrEqual(bytes.length)
    const { start, end } = messages
    tolerate(() => inside(messages.attributes(0), start, end))
  }
  return steps
}

/** Only `malformed` may come of bytes; any other error is a fault of the reader. */
const tolerate = (run: () => unknown): 'read' | 'malformed' => {
  try {
    run()
    return 'read'
  } catch (error) {
    if (error instanceof KernelError && error.code === 'malformed') return 'malformed'
    throw error
  }
}

describe('messages of nested attributes', () => {
  test('read as they were written, however small the buffer began', () => {
    fc.assert(
      fc.property(attributes, fc.integer({ min: 1, max: 300 }), (list, capacity) => {
        const bytes = encode(list, capacity)
        expect(bytes.length % 4).toBe(0)
        const messages = new MessageReader(bytes)
        expect(messages.next()).toBe(true)
        expect(read(messages.attributes(0), list)).toEqual(list)
        expect(messages.next()).toBe(false)
      }),
    )
  })

  test('any truncation is malformed', () => {
    fc.assert(
      fc.property(attributes, fc.nat(), (list, where) => {
        const bytes = encode(list)
        const length = 1 + (where % Math.max(1, bytes.length - 1))
        expect(tolerate(() => new MessageReader(bytes.subarray(0, length)).next())).toBe('malformed')
      }),
    )
  })

  test('with a message length to match, the attribute that was cut is malformed and those before it are as they were', () => {
    const list = fc.array(fc.record({ type: fc.nat(0x3fff), content: scalar }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(list, fc.nat(), (attributes, where) => {
        const whole = encode(attributes)
        const length = NLMSG_HDRLEN + (where % (whole.length - NLMSG_HDRLEN))
        const cut = whole.slice(0, length)
        new DataView(cut.buffer).setUint32(0, length, littleEndian)
        expectPrefix(cut, attributes)
      }),
    )
  })

  test('a flipped bit in any length never makes another value', () => {
    const list = fc.array(fc.record({ type: fc.nat(0x3fff), content: scalar }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(list, fc.nat(), fc.nat(15), (attributes, which, bit) => {
        const bytes = encode(attributes)
        // Where lengths are: of the message, and of each attribute.
        const places = [0]
        const reader = new Reader(bytes, NLMSG_HDRLEN)
        while (reader.next()) places.push(reader.start - 4)
        const view = new DataView(bytes.buffer)
        const place = places[which % places.length] ?? 0
        view.setUint16(place, view.getUint16(place, littleEndian) ^ (1 << bit), littleEndian)
        expectPrefix(bytes, attributes)
      }),
    )
  })

  test('any flipped bits are walked in no more steps than there are places for, inside their bounds', () => {
    fc.assert(
      fc.property(attributes, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (list, flips) => {
        const bytes = encode(list)
        for (const flip of flips) {
          const at = (flip >>> 3) % bytes.length
          bytes[at] = (bytes[at] ?? 0) ^ (1 << (flip & 7))
        }
        let steps = 0
        tolerate(() => {
          steps = walk(bytes)
        })
        // Every level of nesting costs four bytes of header.
        expect(steps).toBeLessThanOrEqual((bytes.length / 4) ** 2)
      }),
    )
  })

  test('extended ACKs and descriptions of families, of whatever bytes, are read or malformed', () => {
    const flags = fc.constantFrom(0, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_ACK_TLVS | NLM_F_CAPPED)
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      attributes.map((list) => encode(list).slice(NLMSG_HDRLEN)),
    )
    const readers = [readAcknowledgement, readDone, readFamily]
    fc.assert(
      fc.property(flags, payload, fc.constantFrom(...readers), (flag, bytes, reader) => {
        const writer = new Writer()
        const message = writer.message(reader === readDone ? NLMSG_DONE : NLMSG_ERROR, flag, 1)
        const at = writer.reserve(bytes.length)
        writer.bytes.set(bytes, at)
        writer.endMessage(message)
        const messages = new MessageReader(writer.finish())
        messages.next()
        tolerate(() => reader(messages))
      }),
      { numRuns: 500 },
    )
  })
})

/** What can be read before an error, or the end, is what was written. */
const expectPrefix = (bytes: Uint8Array, written: readonly Attribute[]): void => {
  const found: Attribute[] = []
  tolerate(() => {
    const messages = new MessageReader(bytes)
    if (!messages.next()) return
    const reader = messages.attributes(0)
    for (const { content } of written) {
      if (!reader.next()) return
      found.push({ type: reader.type, content: readContent(reader, content) })
    }
  })
  expect(found).toEqual(written.slice(0, found.length))
}

describe('what does not fit is refused when it is written', () => {
  test.each([
    ['u8', 256],
    ['u8', -1],
    ['u16be', 65_536],
    ['u16host', 1.5],
    ['u32be', 2 ** 32],
    ['u32host', -1],
    ['s32be', 2 ** 31],
    ['s32host', Number.NaN],
    ['u64be', -1],
    ['u64host', 2 ** 53],
  ] as const)('%s of %d', (kind, value) => {
    const writer = new Writer()
    expect(() => writer[kind](1, value)).toThrow(expect.objectContaining({ code: 'invalid' }))
    expect(writer.length).toBe(0)
  })

  test('64 bits', () => {
    expect(() => new Writer().u64be(1, 2n ** 64n)).toThrow(expect.objectContaining({ code: 'invalid' }))
    const writer = new Writer()
    writer.u64host(1, 2n ** 64n - 1n)
    const reader = new Reader(writer.finish())
    reader.next()
    expect(reader.u64host()).toBe(2n ** 64n - 1n)
  })

  test('a string that would end early', () => {
    expect(() => new Writer().string(1, 'a\0b')).toThrow(expect.objectContaining({ code: 'invalid' }))
    expect(() => new Writer().string(1, 'é\0b')).toThrow(expect.objectContaining({ code: 'invalid' }))
  })
})
