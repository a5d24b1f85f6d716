import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KernelError } from '../netlink/error.ts'
import { MessageReader, type Reader } from '../netlink/wire.ts'
import { Batch } from './batch.ts'
import { readComment } from './comment.ts'
import { NFGENMSG_LEN, NFT_MSG_DELSETELEM, NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_ELEMENTS } from './constants.ts'
import { readElements } from './element.ts'
import type { Verdict } from './verdict.ts'

interface Seen {
  readonly key: string
  readonly keyEnd: string | undefined
  readonly data: string | Verdict | undefined
  readonly comment: string | undefined
  readonly flags: number
  readonly timeout: number | undefined
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const elementsOf = (messages: MessageReader): readonly Seen[] => {
  const seen: Seen[] = []
  readElements(messages, (key, keyEnd, data, comment, flags, timeout) => {
    const value = data instanceof Uint8Array ? hex(data) : data
    seen.push({ key: hex(key), keyEnd: keyEnd && hex(keyEnd), data: value, comment, flags, timeout })
  })
  return seen
}

/** Every message with elements: its type, length of its list, elements. */
const parts = (
  batch: Batch,
): readonly { type: number; sequence: number; list: number; elements: readonly Seen[] }[] => {
  const out: { type: number; sequence: number; list: number; elements: readonly Seen[] }[] = []
  const messages = new MessageReader(batch.finish())
  while (messages.next()) {
    if (messages.type !== NFT_MSG_NEWSETELEM && messages.type !== NFT_MSG_DELSETELEM) continue
    const attributes = messages.attributes(NFGENMSG_LEN)
    let list = 0
    while (attributes.next())
      if (attributes.type === NFTA_SET_ELEM_LIST_ELEMENTS) list = attributes.end - attributes.start + 4
    out.push({ type: messages.type, sequence: messages.sequence, list, elements: elementsOf(messages) })
  }
  return out
}

const addElement = (batch: Batch, number: number, more: (batch: Batch) => void = () => {}): void => {
  const at = batch.element(4)
  batch.view.setUint32(at, number)
  more(batch)
  batch.endElement()
}

describe('elements', () => {
  test('come back as they were written', () => {
    const verdict: fc.Arbitrary<Verdict> = fc.oneof(
      fc.record({
        kind: fc.constantFrom('goto' as const, 'jump' as const),
        chain: fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/),
      }),
      fc.record({ kind: fc.constantFrom('drop' as const, 'accept' as const, 'return' as const) }),
    )
    const element = fc.record({
      key: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      keyEnd: fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: undefined }),
      data: fc.option(fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), verdict), { nil: undefined }),
      comment: fc.option(fc.stringMatching(/^[a-z/:.-]{1,128}$/), { nil: undefined }),
      end: fc.boolean(),
      timeout: fc.option(fc.nat(2 ** 40), { nil: undefined }),
    })
    fc.assert(
      fc.property(fc.array(element, { maxLength: 20 }), (elements) => {
        const batch = new Batch('ip6', 't')
        batch.elements('add', 's')
        for (const { key, keyEnd, data, comment, end, timeout } of elements) {
          const at = batch.element(key.length)
          batch.bytes.set(key, at)
          if (keyEnd !== undefined) {
            const to = batch.keyEnd(keyEnd.length)
            batch.bytes.set(keyEnd, to)
          }
          if (data instanceof Uint8Array) {
            const to = batch.data(data.length)
            batch.bytes.set(data, to)
          } else if (data !== undefined) batch.verdict(data)
          if (timeout !== undefined) batch.timeout(timeout)
          if (end) batch.intervalEnd()
          if (comment !== undefined) batch.comment(comment)
          batch.endElement()
        }
        const expected = elements.map(({ key, keyEnd, data, comment, end, timeout }) => ({
          key: hex(key),
          keyEnd: keyEnd && hex(keyEnd),
          data: data instanceof Uint8Array ? hex(data) : data,
          comment,
          flags: end ? 1 : 0,
          timeout,
        }))
        expect(parts(batch).flatMap(({ elements: found }) => found)).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })

  test('a list that reaches 64 KiB goes on in another message, and none is lost', () => {
    const batch = new Batch('ip', 't')
    batch.elements('add', 's')
    // 16 bytes each: 4095 fit into one attribute.
    for (let i = 0; i < 10_000; i++) addElement(batch, i)
    const found = parts(batch)
    expect(found.map(({ elements }) => elements.length)).toEqual([4095, 4095, 1810])
    expect(found.map(({ sequence }) => sequence)).toEqual([2, 3, 4])
    for (const { list } of found) expect(list).toBeLessThanOrEqual(65535)
    const keys = found.flatMap(({ elements }) => elements.map(({ key }) => Number.parseInt(key, 16)))
    expect(keys).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
    expect(batch.messages).toBe(3)
  })

  test('elements of any size split without loss', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200), { minLength: 900, maxLength: 1200 }), (sizes) => {
        const batch = new Batch('ip', 't')
        batch.elements('add', 's')
        sizes.forEach((size, i) => {
          addElement(batch, i, () => batch.comment('x'.repeat(size)))
        })
        const found = parts(batch).flatMap(({ elements }) => elements)
        expect(found.map(({ comment }) => comment?.length)).toEqual(sizes.map((size) => Math.min(size, 128)))
        expect(parts(batch).every(({ list }) => list <= 65535)).toBe(true)
      }),
      { numRuns: 5 },
    )
  })

  test('one message per run of the same operation on the same set', () => {
    const batch = new Batch('ip', 't')
    const runs = [
      ['add', 'a'],
      ['add', 'a'],
      ['delete', 'a'],
      ['add', 'b'],
      ['add', 'a'],
    ] as const
    runs.forEach(([op, set], i) => {
      batch.elements(op, set)
      addElement(batch, i)
    })
    expect(parts(batch).map(({ type, elements }) => [type, elements.length])).toEqual([
      [NFT_MSG_NEWSETELEM, 2],
      [NFT_MSG_DELSETELEM, 1],
      [NFT_MSG_NEWSETELEM, 1],
      [NFT_MSG_NEWSETELEM, 1],
    ])
  })

  test('announcing elements without adding any changes nothing', () => {
    const batch = new Batch('ip', 't')
    batch.elements('delete', 'a')
    batch.elements('add', 'b')
    batch.finish()
    expect(batch.messages).toBe(0)
    expect(parts(batch)).toEqual([])
  })

  test('every truncation is refused', () => {
    const batch = new Batch('ip', 't')
    batch.elements('add', 's')
    addElement(batch, 1, () => {
      batch.data(8)
      batch.comment('default/web')
    })
    const messages = new MessageReader(batch.finish())
    messages.next()
    messages.next()
    const message = messages.bytes.slice(messages.at, messages.end)
    const whole = JSON.stringify(elementsOf(messages))
    for (let length = 16; length < message.length; length++) {
      const cut = message.slice(0, length)
      new DataView(cut.buffer).setUint32(0, length, true)
      const reader = new MessageReader(cut)
      reader.next()
      try {
        // What does not throw ends before the list of elements begins.
        expect(elementsOf(reader), `${length} bytes`).toEqual([])
        expect(whole).not.toBe('[]')
      } catch (error) {
        expect(error).toMatchObject({ name: 'KernelError', code: 'malformed' })
      }
    }
  })

  test('arbitrary content is decoded or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (content) => {
        const bytes = new Uint8Array(24 + content.length)
        const view = new DataView(bytes.buffer)
        view.setUint32(0, bytes.length, true)
        view.setUint16(20, 4 + content.length, true)
        view.setUint16(22, 0x8003, true)
        bytes.set(content, 24)
        const reader = new MessageReader(bytes)
        reader.next()
        try {
          elementsOf(reader)
        } catch (error) {
          expect(error).toBeInstanceOf(KernelError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('tags', () => {
  const filled = (): Batch => {
    const batch = new Batch('ip', 't')
    batch.mark('chains')
    batch.addChain('a')
    batch.elements('add', 's')
    for (let i = 0; i < 3; i++) {
      batch.mark(`element ${i}`)
      addElement(batch, i)
    }
    batch.finish()
    return batch
  }

  test('tell the message, and with an offset the element', () => {
    const batch = filled()
    expect(batch.tagOf(1)).toBeUndefined()
    expect(batch.tagOf(2)).toBe('chains')
    // Table (8), set (8) and the list's header (4) follow 20 bytes of headers; elements take 16 each.
    expect([40, 56, 72].map((offset) => batch.tagOf(3, offset))).toEqual(['element 0', 'element 1', 'element 2'])
  })

  test('are withheld when the message holds several and nothing tells which', () => {
    expect(filled().tagOf(3)).toBeUndefined()
    // The kernel points at the name of the set.
    expect(filled().tagOf(3, 28)).toBeUndefined()
    expect(filled().tagOf(2, 28)).toBe('chains')
  })

  test('unknown sequence numbers have none', () => {
    expect([0, 5, 99].map((sequence) => filled().tagOf(sequence))).toEqual([undefined, undefined, undefined])
  })

  test('stay with their elements across a split', () => {
    const batch = new Batch('ip', 't')
    batch.elements('add', 's')
    for (let i = 0; i < 5000; i++) {
      batch.mark(i)
      addElement(batch, i)
    }
    batch.finish()
    expect(batch.tagOf(2, 40)).toBe(0)
    expect(batch.tagOf(2, 40 + 16 * 4094)).toBe(4094)
    expect(batch.tagOf(3, 40)).toBe(4095)
    expect(batch.tagOf(3, 56)).toBe(4096)
  })
})

describe('comments', () => {
  const written = (comment: string): string | undefined => {
    const batch = new Batch('ip', 't')
    batch.addChain('c', comment)
    const messages = new MessageReader(batch.finish())
    messages.next()
    messages.next()
    const attributes: Reader = messages.attributes(NFGENMSG_LEN)
    while (attributes.next()) if (attributes.type === 12) return readComment(attributes.value())
    return undefined
  }

  test.each([
    ['plain', 'default/web:http', 'default/web:http'],
    ['128 bytes', 'x'.repeat(128), 'x'.repeat(128)],
    ['129 bytes', 'x'.repeat(129), 'x'.repeat(128)],
    ['no half characters', `${'x'.repeat(127)}é`, 'x'.repeat(127)],
    ['no half surrogates', `${'x'.repeat(126)}😀`, 'x'.repeat(126)],
    ['nothing that nft could not read back', 'a"b\nc\0d', 'a_b_c_d'],
    ['the same beyond ASCII', 'é"\n', 'é__'],
  ])('%s', (_, text, expected) => {
    expect(written(text)).toBe(expected)
  })

  test('any text fits, and is a prefix of what was asked for', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        const clean = text.replace(/[\p{Cc}"]/gu, '_')
        const result = written(text) ?? ''
        expect(clean.startsWith(result)).toBe(true)
        expect(Buffer.byteLength(result)).toBeLessThanOrEqual(128)
        if (Buffer.byteLength(clean) <= 128) expect(result).toBe(clean)
      }),
    )
  })
})

test('misuse is refused at once', () => {
  const batch = new Batch('ip', 't')
  expect(() => batch.element(4)).toThrow('elements()')
  batch.elements('add', 's')
  batch.element(4)
  expect(() => batch.element(4)).toThrow('begins after')
  expect(() => batch.addChain('c')).toThrow('still open')
  expect(() => batch.mark(1)).toThrow('still open')
  expect(() => batch.finish()).toThrow('still open')
  batch.endElement()
  expect(() => batch.comment('x')).toThrow('no element')
  expect(batch.finish()).toEqual(batch.finish())
  expect(() => batch.addChain('c')).toThrow('finished')
})

test('the same description gives the same bytes', () => {
  const build = (): string => {
    const batch = new Batch('ip', 't')
    batch.addChain('c', 'x')
    batch.elements('add', 's')
    for (let i = 0; i < 5000; i++) addElement(batch, i, () => batch.comment(`n ${i}`))
    return hex(batch.finish())
  }
  expect(build()).toBe(build())
})
