import type { Brand } from '../model/brand.ts'

/** A time.Duration of Go: signed 64-bit nanoseconds. */
export type GoDuration = Brand<bigint, 'GoDuration'>

const maxInt64 = 2n ** 63n - 1n

const unitNanoseconds: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])

export const nanoseconds = (value: bigint): GoDuration => value as GoDuration
export const seconds = (value: number): GoDuration => nanoseconds(BigInt(value) * 1_000_000_000n)
export const zeroDuration = nanoseconds(0n)

/** Fractions of a millisecond are kept. */
export const toMilliseconds = (duration: GoDuration): number => Number(duration) / 1e6

const term = /(\d*)(?:\.(\d*))?([^\d.]+)/y

/** Parses what Go's time.ParseDuration parses (`1h30m`, `-1.5h`, `500ms`, `0`); undefined for anything else. */
export const parseGoDuration = (text: string): GoDuration | undefined => {
  const negative = text.startsWith('-')
  const body = negative || text.startsWith('+') ? text.slice(1) : text
  if (body === '0') return zeroDuration
  if (body === '') return undefined
  let total = 0n
  term.lastIndex = 0
  while (term.lastIndex < body.length) {
    const match = term.exec(body)
    if (match === null) return undefined
    const [, whole = '', fraction = '', unitName = ''] = match
    const unit = unitNanoseconds.get(unitName)
    if (unit === undefined || (whole === '' && fraction === '')) return undefined
    total += BigInt(whole === '' ? '0' : whole) * unit + fractionOf(fraction, unit)
    if (total > maxInt64 + 1n) return undefined
  }
  if (negative) return nanoseconds(-total)
  return total > maxInt64 ? undefined : nanoseconds(total)
}

/** Go computes fractions in float64 and truncates; digits that no longer fit 63 bits are dropped. */
const fractionOf = (digits: string, unit: bigint): bigint => {
  let value = 0n
  let scale = 1
  for (const digit of digits) {
    const next = value * 10n + BigInt(digit)
    if (value > maxInt64 / 10n || next > maxInt64 + 1n) break
    value = next
    scale *= 10
  }
  return value === 0n ? 0n : BigInt(Math.trunc(Number(value) * (Number(unit) / scale)))
}

/** Prints as Go's Duration.String: `24h0m0s`, `1.5s`, `500ms`, `0s`. */
export const formatGoDuration = (duration: GoDuration): string => {
  if (duration === 0n) return '0s'
  const sign = duration < 0n ? '-' : ''
  const size: bigint = duration < 0n ? -duration : duration
  if (size < 1_000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${decimal(size, 1_000n)}\u00b5s`
  if (size < 1_000_000_000n) return `${sign}${decimal(size, 1_000_000n)}ms`
  const inMinute = decimal(size % 60_000_000_000n, 1_000_000_000n)
  const minutes = size / 60_000_000_000n
  if (minutes === 0n) return `${sign}${inMinute}s`
  const hours = minutes / 60n
  return hours === 0n ? `${sign}${minutes}m${inMinute}s` : `${sign}${hours}h${minutes % 60n}m${inMinute}s`
}

const decimal = (value: bigint, unit: bigint): string => {
  const rest = value % unit
  if (rest === 0n) return `${value / unit}`
  const digits = rest.toString().padStart(unit.toString().length - 1, '0')
  return `${value / unit}.${digits.replace(/0+$/, '')}`
}
