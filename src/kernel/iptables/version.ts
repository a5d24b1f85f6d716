import type { Variant } from './iptables.ts'

/** What `iptables --version` says: `iptables v1.8.9 (nf_tables)`. */
export interface ToolVersion {
  /** `1.8.9` */
  readonly text: string
  readonly numbers: readonly [major: number, minor: number, patch: number]
  /** Before 1.8 there was only one, and the program does not say it. */
  readonly variant: Variant
}

const versionLine = /^ip6?tables\S* v(\d+)\.(\d+)(?:\.(\d+))?(\S*)(?: \((legacy|nf_tables)\))?/m

export const parseVersion = (output: string): ToolVersion | undefined => {
  const found = versionLine.exec(output)
  if (found === null) return undefined
  const [, major = '0', minor = '0', patch, suffix = '', kind] = found
  return {
    text: `${major}.${minor}${patch === undefined ? '' : `.${patch}`}${suffix}`,
    numbers: [Number(major), Number(minor), Number(patch ?? '0')],
    variant: kind === 'nf_tables' ? 'nft' : 'legacy',
  }
}

/** `version` is `wanted` or newer. */
export const isAtLeast = ({ numbers }: ToolVersion, wanted: readonly [number, number, number]): boolean => {
  for (const [i, number] of numbers.entries()) {
    const other = wanted[i] ?? 0
    if (number !== other) return number > other
  }
  return true
}

/** What a release of the tools can do; of an unknown release the same is expected as of the newest. */
export interface ToolFeatures {
  /** `MASQUERADE --random-fully`. */
  readonly randomFully: boolean
  /** `iptables-restore` takes the xtables lock by itself, and waits for it as long as `-w` says. */
  readonly restoreWaits: boolean
  /** The environment variable XTABLES_LOCKFILE names another lock. */
  readonly otherLockFile: boolean
}

export const toolFeatures = (version: ToolVersion | undefined): ToolFeatures => {
  const since = (wanted: readonly [number, number, number]): boolean =>
    version === undefined || isAtLeast(version, wanted)
  return { randomFully: since([1, 6, 2]), restoreWaits: since([1, 6, 2]), otherLockFile: since([1, 8, 6]) }
}
