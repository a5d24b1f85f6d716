import { describe, expect, it } from 'vitest'
import { freeMarks } from './marks.ts'

const first = (count: number, masqueradeMark: number, taken: readonly number[] = []): readonly number[] => {
  const marks = freeMarks(masqueradeMark, new Set(taken))
  return Array.from({ length: count }, () => marks.next().value)
}

describe('marks', () => {
  it('go up, without the masquerade mark', () => {
    expect(first(3, 0x4000)).toEqual([0x1001, 0x1002, 0x1003])
    expect(first(3, 1)).toEqual([0x1002, 0x1004, 0x1006])
    expect(first(2, 0x80000000)).toEqual([0x1001, 0x1002])
    expect(first(2, 0x1000)).toEqual([0x10000, 0x10001])
  })

  it('never have a bit that others act upon', () => {
    const many = first(0x5000, 0x4000)
    expect(many.filter((mark) => (mark & 0xe000) !== 0)).toEqual([])
    expect(new Set(many).size).toBe(0x5000)
    expect(many.slice(0xffe, 0x1001)).toEqual([0x1fff, 0x10000, 0x10001])
  })

  it('leave out those that are taken', () => {
    expect(first(3, 0x4000, [0x1001, 0x1003])).toEqual([0x1002, 0x1004, 0x1005])
  })
})
