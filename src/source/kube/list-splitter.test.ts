import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ListSplitter } from './list-splitter.ts'

const read = (
  chunks: readonly Buffer[],
  limit?: number,
): { readonly items: readonly unknown[]; readonly list: unknown } => {
  const splitter = new ListSplitter(limit)
  const items = chunks.flatMap((chunk) => [...splitter.push(chunk)])
  return { items, list: splitter.end() }
}

const readText = (text: string, limit?: number): ReturnType<typeof read> => read([Buffer.from(text)], limit)

describe('ListSplitter', () => {
  it('gives what JSON.parse gives, however the bytes are cut and the text is spaced', () => {
    const tricky = fc.constantFrom('"items":[', '\\', '"', '[{', '}]', '\\"', '{"items":[{}]}', 'ü😀', '\u2028')
    const text = fc.oneof(tricky, fc.string({ unit: 'binary' }))
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ depthSize: 'small' }, text, fc.integer(), fc.constant(null), tie('array'), tie('object')),
      array: fc.array(tie('any'), { maxLength: 3 }),
      object: fc.dictionary(text, tie('any'), { maxKeys: 3 }),
    }))
    const list = fc.record({
      before: fc.dictionary(
        text.filter((key) => key !== 'items'),
        value.any,
        { maxKeys: 3 },
      ),
      items: fc.array(value.object, { maxLength: 5 }),
      after: fc.dictionary(
        text.filter((key) => key !== 'items'),
        value.any,
        { maxKeys: 3 },
      ),
      indent: fc.constantFrom(0, 1, '\t', '\r\n '),
    })
    fc.assert(
      fc.property(list, fc.array(fc.nat(), { maxLength: 40 }), ({ before, items, after, indent }, cuts) => {
        const whole = { ...before, items, ...after }
        const bytes = Buffer.from(JSON.stringify(whole, null, indent))
        const { items: expected, ...rest } = JSON.parse(bytes.toString())
        const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
        const seen = read([0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length)))
        expect(seen.items).toEqual(expected)
        expect(seen.list).toEqual({ ...rest, items: [] })
      }),
      { numRuns: 300 },
    )
  })

  it('knows items only at the top of the document', () => {
    const nested = '{"metadata":{"items":[{"a":1}]},"other":[{"items":[{}]}],"items":[{"items":[{"b":2}]}]}'
    expect(readText(nested)).toEqual({
      items: [{ items: [{ b: 2 }] }],
      list: { metadata: { items: [{ a: 1 }] }, other: [{ items: [{}] }], items: [] },
    })
  })

  it('takes null for no items, as Go writes an empty slice', () => {
    expect(readText('{"kind":"ServiceList","items":null}').items).toEqual([])
  })

  it.each([
    ['cut in an item', '{"items":[{"a":'],
    ['cut between items', '{"items":[{"a":1},'],
    ['cut after the items', '{"items":[{"a":1}]'],
    ['empty', ''],
    ['HTML', '<html></html>'],
    ['with an item that is no object', '{"items":[1]}'],
    ['with an item that is a list', '{"items":[[]]}'],
    ['with an item that is text', '{"items":["{}"]}'],
    ['with an item that is no JSON', '{"items":[{"a":b}]}'],
    ['with more after its end', '{"items":[]}{}'],
  ])('throws on a document that is %s', (_, text) => {
    expect(() => readText(text)).toThrow(SyntaxError)
  })

  it('refuses an item above the limit, and as much around the items', () => {
    expect(readText('{"items":[{"a":1}]}', 20).items).toEqual([{ a: 1 }])
    expect(() => readText(`{"items":[{"a":"${'x'.repeat(20)}"}]}`, 20)).toThrow(RangeError)
    expect(() => readText(`{"a":"${'x'.repeat(20)}","items":[]}`, 20)).toThrow(RangeError)
  })
})
