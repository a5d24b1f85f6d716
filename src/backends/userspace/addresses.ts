import { type Family, type IP, parseIP } from '../../model/ip.ts'

const known = (text: string): IP => {
  const ip = parseIP(text)
  if (ip === undefined) throw new TypeError(`no address: ${text}`)
  return ip
}

export const loopback: Readonly<Record<Family, IP>> = { IPv4: known('127.0.0.1'), IPv6: known('::1') }
export const wildcard: Readonly<Record<Family, IP>> = { IPv4: known('0.0.0.0'), IPv6: known('::') }

/** fe80::/10: cannot be bound without naming an interface. */
export const isLinkLocal = (ip: IP): boolean => /^fe[89ab][0-9a-f]:/.test(ip)
