import { type Family, parseIP } from '../model/ip.ts'
import type { FeatureGates } from './feature-gates.ts'
import type { Flag, FlagKind } from './flags.ts'
import { type GoDuration, parseGoDuration } from './go-duration.ts'
import { isQuantity, parseCsv, parseGoBool, parseGoFloat, parseGoInt, splitHostPort } from './go-values.ts'

/** `pattern=N` of klog's vmodule. */
export interface VModule {
  readonly filePattern: string
  readonly verbosity: number
}

/** What a flag of a kind holds. Addresses stay text: the same rules as for the file apply to them later. */
export interface FlagKindValue {
  readonly string: string
  readonly bool: boolean
  readonly int32: number
  readonly uint32: number
  readonly float32: number
  readonly duration: GoDuration
  readonly strings: readonly string[]
  readonly directories: readonly string[]
  readonly gates: FeatureGates
  readonly ip: string
  readonly ipport: string
  readonly size: string
  readonly vmodule: readonly VModule[]
  readonly family: Family
  /** 'true', 'false', 'raw', or a version to report. */
  readonly version: string
}

/** The flags that were given, parsed. */
export type FlagValues = { readonly [F in Flag as F['name']]?: FlagKindValue[F['kind']] }

/** `value` undefined: accepted and ignored, as pflag does for an empty address. */
export type ReadResult<T> = { readonly value: T | undefined } | { readonly wrong: string }

type Reader<T> = (text: string, before: T | undefined) => ReadResult<T>

const required = <T>(value: T | undefined, wrong: string): ReadResult<T> =>
  value === undefined ? { wrong } : { value }

const int =
  (min: number, max: number): Reader<number> =>
  (text) =>
    required(parseGoInt(text, min, max), `parsing "${text}": must be a whole number from ${min} to ${max}`)

const level = (text: string): number | undefined =>
  /^\d+$/.test(text) ? parseGoInt(text.replace(/^0+(?=\d)/, ''), 0, 2 ** 31 - 1) : undefined

const readGates: Reader<FeatureGates> = (text, before) => {
  const gates = new Map<string, boolean>(Object.entries(before ?? {}))
  for (const pair of text.split(',')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    if (at < 0) return { wrong: `malformed pair "${pair}", expect string=bool` }
    const name = pair.slice(0, at).trim()
    const value = parseGoBool(pair.slice(at + 1).trim())
    if (value === undefined) return { wrong: `invalid value of ${name}: "${pair.slice(at + 1).trim()}" is no bool` }
    gates.set(name, value)
  }
  return { value: Object.fromEntries(gates) }
}

const readVModule: Reader<readonly VModule[]> = (text, before) => {
  const modules: VModule[] = [...(before ?? [])]
  for (const pair of text.split(',')) {
    if (pair === '') continue
    const at = pair.indexOf('=')
    if (at < 1 || at === pair.length - 1) return { wrong: `"${pair}" does not have the pattern=N format` }
    const verbosity = level(pair.slice(at + 1))
    if (verbosity === undefined) return { wrong: `parsing verbosity in "${pair}": must be a whole number` }
    modules.push({ filePattern: pair.slice(0, at), verbosity })
  }
  return { value: modules }
}

const readIPPort: Reader<string> = (text) => {
  if (text === '') return { value: undefined }
  if (parseIP(text) !== undefined) return { value: text }
  const parts = splitHostPort(text)
  if (parts === undefined) return { wrong: `"${text}" is not in a valid format (ip or ip:port)` }
  if (parseIP(parts.host) === undefined) return { wrong: `"${parts.host}" is not a valid IP address` }
  if (!/^\d{1,5}$/.test(parts.port) || Number(parts.port) > 65535)
    return { wrong: `"${parts.port}" is not a valid port` }
  return { value: text }
}

const families: Readonly<Record<string, Family>> = { ipv4: 'IPv4', ipv6: 'IPv6' }

const readers: { readonly [K in FlagKind]: Reader<FlagKindValue[K]> } = {
  string: (text) => ({ value: text }),
  bool: (text) => required(parseGoBool(text), `parsing "${text}": must be true or false`),
  int32: int(-(2 ** 31), 2 ** 31 - 1),
  uint32: (text) => required(level(text), `parsing "${text}": must be a whole number from 0 to ${2 ** 31 - 1}`),
  float32: (text) => required(parseGoFloat(text), `parsing "${text}": must be a number`),
  duration: (text) => required(parseGoDuration(text), `time: invalid duration "${text}"`),
  strings: (text, before) => {
    const items = parseCsv(text)
    return items === undefined ? { wrong: 'bad quoting' } : { value: [...(before ?? []), ...items] }
  },
  directories: (text, before) => (text === '' ? { wrong: 'must not be empty' } : { value: [...(before ?? []), text] }),
  gates: readGates,
  ip: (text) => {
    if (text === '') return { value: undefined }
    return parseIP(text) === undefined ? { wrong: `"${text}" is not a valid IP address` } : { value: text }
  },
  ipport: readIPPort,
  size: (text) => (isQuantity(text) ? { value: text } : { wrong: `"${text}" is not a size such as 512, 1K or 2Mi` }),
  vmodule: readVModule,
  family: (text) => required(families[text.toLowerCase()], 'must be ipv4 or ipv6'),
  version: (text) => {
    const flag = parseGoBool(text)
    if (flag !== undefined) return { value: String(flag) }
    return text === 'raw' || /^v\d+\.\d+\.\d+/.test(text)
      ? { value: text }
      : { wrong: 'must be true, false, raw or vX.Y.Z' }
  },
}

/** Reads one more occurrence of a flag; `before` is what earlier ones gave, for the kinds that add up. */
export const readFlagValue = <K extends FlagKind>(
  kind: K,
  text: string,
  before: FlagKindValue[K] | undefined,
): ReadResult<FlagKindValue[K]> => readers[kind](text, before)
