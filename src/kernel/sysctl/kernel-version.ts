import type { Sysctl } from './sysctl.ts'
import { SysctlError } from './sysctl-error.ts'

export interface KernelVersion {
  readonly major: number
  readonly minor: number
  readonly patch: number
}

/** Parses `uname -r`, e.g. `5.15.0-91-generic`, `6.9-rc1`; what follows the numbers differs between distributions. */
export const parseKernelVersion = (release: string): KernelVersion | undefined => {
  const [, major, minor, patch = '0'] = /^(\d+)\.(\d+)(?:\.(\d+))?(?![\d.]*\d)/.exec(release) ?? []
  if (major === undefined || minor === undefined) return undefined
  return { major: Number.parseInt(major, 10), minor: Number.parseInt(minor, 10), patch: Number.parseInt(patch, 10) }
}

/** The running kernel's. Throws {@link SysctlError}. */
export const readKernelVersion = async (sysctl: Sysctl, signal: AbortSignal): Promise<KernelVersion> => {
  const name = 'kernel/osrelease'
  const release = await sysctl.read(name, signal)
  const version = parseKernelVersion(release)
  if (version === undefined) throw new SysctlError('invalid', `read ${name}`, `"${release}" is no kernel version`)
  return version
}

/** Vendors backport features to older versions: prefer a probe where there is one. */
export const isAtLeast = (version: KernelVersion, major: number, minor: number): boolean =>
  version.major > major || (version.major === major && version.minor >= minor)
