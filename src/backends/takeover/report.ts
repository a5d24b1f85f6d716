import type { Variant } from '../../kernel/iptables/iptables.ts'

/** Places where kube-proxy leaves things. A failure in one does not stop the others. */
export const areas = ['nftables', 'iptables-legacy', 'iptables-nft', 'ipvs', 'ipset'] as const
export type Area = (typeof areas)[number]

export const variantArea = (variant: Variant): Area => `iptables-${variant}`

/** Something that was kept on purpose. */
export interface LeftBehind {
  readonly area: Area
  /** In the words of the tool that shows it. */
  readonly what: string
  readonly why: string
}

/** A whole area, or a part of it, that could not be dealt with. */
export class TakeoverError extends Error {
  override readonly name = 'TakeoverError'
  readonly code: Area
  readonly op: string

  constructor(code: Area, op: string, cause: unknown) {
    super(`${code}: ${op}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.code = code
    this.op = op
  }
}

export interface Counts {
  readonly nftTables: number
  readonly chains: number
  /** Jumps to the chains from elsewhere; the rules within the chains go with them uncounted. */
  readonly jumps: number
  readonly sets: number
  readonly virtualServers: number
  readonly devices: number
}

export const noCounts: Counts = { nftTables: 0, chains: 0, jumps: 0, sets: 0, virtualServers: 0, devices: 0 }

/** What one look at a node came to. */
export interface TakeoverReport {
  /** Found, or removed, depending on what was asked for. */
  readonly counts: Counts
  readonly left: readonly LeftBehind[]
  readonly errors: readonly TakeoverError[]
}

/** The same for one area, or a part of it. */
export interface Part {
  readonly counts?: Partial<Counts>
  readonly left?: readonly LeftBehind[]
  readonly errors?: readonly TakeoverError[]
}

export const mergeParts = (parts: readonly Part[]): TakeoverReport => {
  const counts = { ...noCounts }
  for (const part of parts) for (const key of countKeys) counts[key] += part.counts?.[key] ?? 0
  return {
    counts,
    left: parts.flatMap((part) => part.left ?? []),
    errors: parts.flatMap((part) => part.errors ?? []),
  }
}

const countKeys = [
  'nftTables',
  'chains',
  'jumps',
  'sets',
  'virtualServers',
  'devices',
] as const satisfies readonly (keyof Counts)[]

export const isClean = ({ counts }: TakeoverReport): boolean => countKeys.every((key) => counts[key] === 0)
