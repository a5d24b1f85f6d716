import { type Cidr, cidrBits, cidrContains, cidrFamily } from '../model/cidr.ts'
import type { Family, IP } from '../model/ip.ts'

export interface SourceRanges {
  /** undefined = anyone. */
  readonly ranges: readonly Cidr[] | undefined
  readonly nodeInside: boolean
}

export const unrestricted: SourceRanges = { ranges: undefined, nodeInside: false }

/** The effective ranges of one family. None of the family, or one that holds all of it: unrestricted. */
export const sourceRangesOf = (written: readonly Cidr[], family: Family, nodeIP: IP | undefined): SourceRanges => {
  const ours = written.filter((cidr) => cidrFamily(cidr) === family)
  if (ours.length === 0 || ours.some((cidr) => cidrBits(cidr) === 0)) return unrestricted
  return {
    ranges: [...new Set(ours)],
    nodeInside: nodeIP !== undefined && ours.some((cidr) => cidrContains(cidr, nodeIP)),
  }
}
