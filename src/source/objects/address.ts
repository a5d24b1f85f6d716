import { type IP, type IPv4, parseIP, readIP } from '../../model/ip.ts'

const dot = 46
const zero = 48
const colon = 58

/**
 * `parseIP` with a short cut for the two forms that API objects hold in their hundreds of thousands: canonical IPv4, and
 * IPv6 in hexadecimal words. Same result for every text.
 */
export const parseAddress = (text: string): IP | undefined => {
  if (isPlainIPv4(text)) return text as IPv4
  if (text.includes(':') && readWords(text) && !isMapped()) {
    const canonical = readIP('IPv6', bytes, 0)
    return canonical === text ? (text as IP) : canonical
  }
  return parseIP(text)
}

/** Dotted decimal without leading zeros, so that the text already is its canonical form. */
const isPlainIPv4 = (text: string): boolean => {
  if (text.length < 7 || text.length > 15) return false
  let dots = 0
  let digits = 0
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === dot) {
      if (digits === 0) return false
      dots++
      digits = 0
      value = 0
    } else {
      const digit = code - zero
      if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false
      value = value * 10 + digit
      if (value > 255) return false
      digits++
    }
  }
  return dots === 3 && digits > 0
}

/** The address that {@link readWords} read last. */
const bytes = new Uint8Array(16)

/** ::ffff:0:0/96 and the other addresses that start with five zero words go the long way. */
const isMapped = (): boolean => {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false
  return true
}

/** Reads colon-separated words with at most one `::` into `bytes`. False = not that form; it may still be an address. */
const readWords = (text: string): boolean => {
  if (text.length > 39) return false
  let at = 0
  let gap = -1
  let i = 0
  if (text.charCodeAt(0) === colon) {
    if (text.charCodeAt(1) !== colon) return false
    gap = 0
    i = 2
  }
  while (i < text.length) {
    let word = 0
    const start = i
    for (; i < text.length; i++) {
      const digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      word = word * 16 + digit
    }
    if (i === start || i - start > 4 || at > 14) return false
    bytes[at++] = word >> 8
    bytes[at++] = word & 0xff
    if (i === text.length) break
    if (text.charCodeAt(i++) !== colon || i === text.length) return false
    if (text.charCodeAt(i) === colon) {
      if (gap >= 0) return false
      gap = at
      i++
    }
  }
  if (gap < 0) return at === 16
  if (at > 14) return false
  bytes.copyWithin(16 - (at - gap), gap, at)
  bytes.fill(0, gap, 16 - (at - gap))
  return true
}

const hexDigit = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}
