import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatGoDuration, nanoseconds, parseGoDuration, toMilliseconds } from './go-duration.ts'

// The first rows are those of Go's own time_test.go.
const valid: readonly (readonly [string, bigint])[] = [
  ['0', 0n],
  ['5s', 5_000_000_000n],
  ['30s', 30_000_000_000n],
  ['1478s', 1_478_000_000_000n],
  ['-5s', -5_000_000_000n],
  ['+5s', 5_000_000_000n],
  ['-0', 0n],
  ['+0', 0n],
  ['5.0s', 5_000_000_000n],
  ['5.6s', 5_600_000_000n],
  ['5.s', 5_000_000_000n],
  ['.5s', 500_000_000n],
  ['1.004s', 1_004_000_000n],
  ['100.00100s', 100_001_000_000n],
  ['10ns', 10n],
  ['11us', 11_000n],
  ['12\u00b5s', 12_000n],
  ['12\u03bcs', 12_000n],
  ['13ms', 13_000_000n],
  ['15m', 900_000_000_000n],
  ['16h', 57_600_000_000_000n],
  ['3h30m', 12_600_000_000_000n],
  ['10.5s4m', 250_500_000_000n],
  ['-2m3.4s', -123_400_000_000n],
  ['39h9m14.425s', 140_954_425_000_000n],
  ['52763797000ns', 52_763_797_000n],
  ['0.3333333333333333333h', 1_200_000_000_000n],
  ['9007199254740993ns', 9_007_199_254_740_993n],
  ['9223372036854775807ns', 9_223_372_036_854_775_807n],
  ['9223372036854775.807us', 9_223_372_036_854_775_807n],
  ['-9223372036854775808ns', -9_223_372_036_854_775_808n],
  ['0.100000000000000000000h', 360_000_000_000n],
  ['0.830103483285477580700h', 2_988_372_539_827n],
]

const wrong = [
  '',
  '3',
  '-',
  's',
  '.',
  '-.',
  '.s',
  '+.s',
  '1d',
  '1 s',
  's1',
  '1h ',
  '3000000h',
  '9223372036854775808ns',
  '--1s',
  '1e3s',
  '٣s',
]

describe('Go durations', () => {
  test.each(valid)('%s', (text, expected) => {
    expect(parseGoDuration(text)).toBe(expected)
  })

  test.each(wrong)('%j is none', (text) => {
    expect(parseGoDuration(text)).toBeUndefined()
  })

  test.each([
    [0n, '0s'],
    [1n, '1ns'],
    [1_100n, '1.1\u00b5s'],
    [2_200_000n, '2.2ms'],
    [3_300_000_000n, '3.3s'],
    [245_000_000_000n, '4m5s'],
    [245_001_000_000n, '4m5.001s'],
    [18_367_001_000_000n, '5h6m7.001s'],
    [480_000_000_001n, '8m0.000000001s'],
    [86_400_000_000_000n, '24h0m0s'],
    [9_223_372_036_854_775_807n, '2562047h47m16.854775807s'],
    [-9_223_372_036_854_775_808n, '-2562047h47m16.854775808s'],
  ])('%s ns prints as %s', (value, expected) => {
    expect(formatGoDuration(nanoseconds(value))).toBe(expected)
  })

  test('what is printed parses back', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(parseGoDuration(formatGoDuration(nanoseconds(value)))).toBe(value)
      }),
    )
  })

  test('terms add up, whatever their order and unit', () => {
    const units = { ns: 1n, us: 1_000n, ms: 1_000_000n, s: 1_000_000_000n, m: 60_000_000_000n, h: 3_600_000_000_000n }
    const unit = fc.constantFrom(...(['ns', 'us', 'ms', 's', 'm', 'h'] as const))
    const terms = fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 100_000n }), unit), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(terms, fc.boolean(), (parts, negative) => {
        const text = (negative ? '-' : '') + parts.map(([count, name]) => `${count}${name}`).join('')
        const sum = parts.reduce((total, [count, name]) => total + count * units[name], 0n)
        expect(parseGoDuration(text)).toBe(negative ? -sum : sum)
      }),
    )
  })

  test('milliseconds keep fractions', () => {
    expect(toMilliseconds(nanoseconds(1_500n))).toBe(0.0015)
    expect(toMilliseconds(nanoseconds(30_000_000_000n))).toBe(30_000)
  })
})
