import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonDocuments } from './json-documents.ts'
import { jsonFaultAt } from './json-fault.ts'

describe('jsonFaultAt', () => {
  it.each<[string, number]>([
    ['{"a": [1,]}', 9],
    ['{"a" 1}', 5],
    ['{a: 1}', 1],
    ['[1 2]', 3],
    ['[1}', 2],
    ['{"a":1,}', 7],
    ['{"a":"\n"}', 5],
    ['"\\x"', 0],
    ['[01]', 1],
    ['{} {}', 3],
    ['{"a":1', 6],
    ['', 0],
    ['[nul]', 1],
    ['["\u007f", }', 6],
  ])('%j', (text, at) => {
    expect(jsonFaultAt(text)).toBe(at)
    expect(() => JSON.parse(text)).toThrow()
  })

  it('finds none in JSON, and does find one in what JSON.parse refuses', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom('', ',', '"', '{', ']', '\\', ' x '), (json, at, insertion) => {
        const cut = at % (json.length + 1)
        const text = json.slice(0, cut) + insertion + json.slice(insertion === '' ? cut : cut + 1)
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        const found = jsonFaultAt(text)
        if (isJson) expect(found).toBe(text.length)
        // Up to the fault the text is a beginning of JSON.
        else expect(jsonFaultAt(text.slice(0, found))).toBe(found)
      }),
      { numRuns: 500 },
    )
  })
})

describe('jsonDocuments', () => {
  it('cuts documents apart, whatever their strings hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.object(), fc.array(fc.jsonValue()))),
        fc.constantFrom('', '\n', ' \r\n\t'),
        (values, gap) => {
          const texts = values.map((value) => JSON.stringify(value))
          const text = gap + texts.join(gap) + gap
          expect(jsonDocuments(text).map(({ start, end }) => text.slice(start, end))).toEqual(texts)
        },
      ),
      { numRuns: 300 },
    )
  })
})
