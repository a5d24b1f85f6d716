import { type IP, parseIP } from '../model/ip.ts'
import { type Port, parsePort } from '../model/port.ts'

const truths: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((word) => [word, false] as const),
])

/** strconv.ParseBool. */
export const parseGoBool = (text: string): boolean | undefined => truths.get(text)

const integerText =
  /^[+-]?(?:0[xX][\da-fA-F](?:_?[\da-fA-F])*|0[bB][01](?:_?[01])*|0[oO]?(?:_?[0-7])+|0|[1-9](?:_?\d)*)$/

/** strconv.ParseInt with base 0 (decimal, 0x, 0b, 0o, leading 0 = octal), within [min, max]. */
export const parseGoInt = (text: string, min: number, max: number): number | undefined => {
  if (!integerText.test(text)) return undefined
  const negative = text.startsWith('-')
  const digits = text.replace(/^[+-]/, '').replaceAll('_', '')
  const value = Number(digits.replace(/^0[oO]?(?=\d)/, '0o')) * (negative ? -1 : 1)
  return value >= min && value <= max ? value + 0 : undefined
}

const floatText = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** A finite float32, as strconv.ParseFloat reads decimal numbers. */
export const parseGoFloat = (text: string): number | undefined => {
  if (!floatText.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(Math.fround(value)) ? value : undefined
}

/** net.SplitHostPort, with undefined for its errors. */
export const splitHostPort = (text: string): { readonly host: string; readonly port: string } | undefined => {
  const colon = text.lastIndexOf(':')
  if (colon < 0) return undefined
  const port = text.slice(colon + 1)
  const head = text.slice(0, colon)
  if (text.startsWith('[')) {
    const inner = head.slice(1, -1)
    return head.endsWith(']') && !/[[\]]/.test(inner) && !/[[\]]/.test(port) ? { host: inner, port } : undefined
  }
  return /[:[\]]/.test(head) || /[[\]]/.test(port) ? undefined : { host: head, port }
}

/** An address to listen on. */
export interface Bind {
  readonly ip: IP
  readonly port: Port
}

const portText = /^\+?\d{1,10}$/

/** `IP:port` or `[IP]:port` with a port of 1 to 65535; otherwise what is wrong with it. */
export const parseBind = (text: string): Bind | { readonly wrong: readonly string[] } => {
  const parts = splitHostPort(text)
  if (parts === undefined) return { wrong: [`Invalid value: "${text}": must be IP:port`] }
  const ip = parseIP(parts.host)
  const port = portText.test(parts.port) ? parsePort(Number(parts.port)) : undefined
  if (ip !== undefined && port !== undefined) return { ip, port }
  const wrong: string[] = []
  if (ip === undefined) wrong.push(`Invalid value: "${parts.host}": must be a valid IP address`)
  if (port === undefined) wrong.push(`Invalid value: "${parts.port}": must be a valid port`)
  return { wrong }
}

/** `text` itself when it already has a port or is no address at all (validation will say so). */
export const appendPortIfNeeded = (text: string, port: number): string => {
  if (splitHostPort(text) !== undefined) return text
  const ip = parseIP(text)
  if (ip === undefined) return text
  return ip.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
}

/** One record of encoding/csv, which is what pflag's StringSlice reads; undefined when the quoting is broken. */
export const parseCsv = (text: string): readonly string[] | undefined => {
  if (text === '') return []
  const fields: string[] = []
  let rest = text
  for (;;) {
    const match = rest.startsWith('"') ? /^"((?:[^"]|"")*)"(?=,|$)/.exec(rest) : /^([^",]*)(?=,|$)/.exec(rest)
    if (match === null) return undefined
    fields.push((match[1] ?? '').replaceAll('""', '"'))
    rest = rest.slice(match[0].length)
    if (rest === '') return fields
    rest = rest.slice(1)
  }
}

const quantityText = /^[+-]?(\d+\.?\d*|\.\d+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/

/** Whether this is a resource.Quantity such as `512`, `1K` or `2Mi`. */
export const isQuantity = (text: string): boolean => quantityText.test(text)

export const isZeroQuantity = (text: string): boolean =>
  /^0*$/.test((quantityText.exec(text)?.[1] ?? '').replace('.', ''))
