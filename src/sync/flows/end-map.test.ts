import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { FlowEnd } from '../../model/flow.ts'
import { EndMap } from './end-map.ts'

const word = fc.constantFrom(0, 1, -1, 0x0a600001, 0x7fffffff)
const anyEnd: fc.Arbitrary<FlowEnd> = fc.record({
  w0: word,
  w1: word,
  w2: fc.constantFrom(0, 7),
  w3: word,
  port: fc.constantFrom(0, 53, 80, 0xffff),
})
const textOf = ({ w0, w1, w2, w3, port }: FlowEnd): string => [w0, w1, w2, w3, port].join()

it('is a map by all five numbers', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(anyEnd, fc.option(fc.nat()))), fc.array(anyEnd), (steps, asked) => {
      const map = new EndMap<number>()
      const model = new Map<string, number>()
      for (const [end, value] of steps) {
        if (value === null) {
          map.delete(end)
          model.delete(textOf(end))
        } else {
          map.set(end, value)
          model.set(textOf(end), value)
        }
      }
      expect(new Map([...map].map(([end, value]) => [textOf(end), value]))).toEqual(model)
      expect(map.empty).toBe(model.size === 0)
      for (const end of [...asked, ...steps.map(([each]) => each)]) {
        const elsewhere = { ...end, port: 80 }
        expect(map.get(end)).toBe(model.get(textOf(end)))
        expect(map.has(end)).toBe(model.has(textOf(end)))
        expect(map.hasAt(end, 80)).toBe(model.has(textOf(elsewhere)))
        expect(map.getAnywhere(end.port)).toBe(model.get(textOf({ w0: 0, w1: 0, w2: 0, w3: 0, port: end.port })))
      }
    }),
  )
})

it('keeps ends apart that hash alike', () => {
  const map = new EndMap<number>()
  const ends = Array.from({ length: 200_000 }, (_, i) => ({ w0: i, w1: 0, w2: 0, w3: 0, port: 53 }))
  for (const [i, end] of ends.entries()) map.set(end, i)
  for (const [i, end] of ends.entries()) if (i % 2 === 0) map.delete(end)
  expect(ends.filter((end, i) => map.get(end) !== (i % 2 === 0 ? undefined : i))).toEqual([])
})

it('goes through what is deleted on the way', () => {
  const map = new EndMap<number>(Array.from({ length: 1_000 }, (_, i) => [{ w0: i, w1: 0, w2: 0, w3: 0, port: 53 }, i]))
  let seen = 0
  for (const [end] of map) {
    map.delete(end)
    seen++
  }
  expect([seen, map.empty]).toEqual([1_000, true])
})
