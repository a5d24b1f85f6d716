import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from './lines.ts'

/** Cuts `bytes` at the given places, wherever those are. */
const chunksOf = (bytes: Buffer, cuts: readonly number[]): readonly Buffer[] => {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length))
}

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut', () => {
    const line = fc
      .string({ unit: 'grapheme' })
      .filter((text) => text.trim() === text && text !== '' && !/\n/.test(text))
    fc.assert(
      fc.property(fc.array(line), line, fc.array(fc.nat()), (lines, last, cuts) => {
        const splitter = new LineSplitter()
        const bytes = Buffer.from(`${lines.map((text) => `${text}\n`).join('')}${last}`)
        const seen = chunksOf(bytes, cuts).flatMap((chunk) => [...splitter.push(chunk)])
        expect([...seen, splitter.end()]).toEqual([...lines, last])
      }),
    )
  })

  it('leaves out blank lines and carriage returns', () => {
    const splitter = new LineSplitter()
    expect([...splitter.push(Buffer.from('a\r\n\r\n\n  \nb\n'))]).toEqual(['a', 'b'])
    expect(splitter.end()).toBe('')
  })

  it('refuses a line above the limit, with or without its end', () => {
    expect([...new LineSplitter(4).push(Buffer.from('1234\n'))]).toEqual(['1234'])
    expect(() => [...new LineSplitter(4).push(Buffer.from('12345\n'))]).toThrow(RangeError)
    const splitter = new LineSplitter(4)
    expect([...splitter.push(Buffer.from('123'))]).toEqual([])
    expect(() => [...splitter.push(Buffer.from('45'))]).toThrow(RangeError)
  })
})
