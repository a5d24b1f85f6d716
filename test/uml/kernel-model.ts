import { type OverheadModel, type Server, setThresholds } from '../../src/algorithms/index.ts'

/** What differs between kernels that the guest may be. */
export interface KernelModel {
  readonly overhead: OverheadModel
  /** What an edit of a server's thresholds does. */
  readonly setThresholds: (server: Server, upper: number, lower: number) => void
}

/** `release`: as uname(1) -r prints it. */
export const kernelModel = (release: string): KernelModel => {
  const total = isAtLeast(release, { '6.1': 183, '6.12': 104 })
  return {
    overhead: total ? 'total' : 'legacy',
    setThresholds: total ? setThresholds : setThresholdsBefore,
  }
}

/** Kernels without the change of `total` look at the count only when a connection comes or goes (__ip_vs_update_dest). */
const setThresholdsBefore = (server: Server, upper: number, lower: number): void => {
  if (upper === 0 || upper > server.upperThreshold) server.overloaded = false
  server.upperThreshold = upper
  server.lowerThreshold = lower
}

/** Whether a release of one of these stable series has reached its number, or is of a series after all of them. */
const isAtLeast = (release: string, since: Readonly<Record<string, number>>): boolean => {
  const [, major = '0', minor = '0', patch = '0'] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(release) ?? []
  const first = since[`${major}.${minor}`]
  if (first !== undefined) return Number(patch) >= first
  return Object.keys(since).every((series) => {
    const [ofMajor = 0, ofMinor = 0] = series.split('.').map(Number)
    return Number(major) > ofMajor || (Number(major) === ofMajor && Number(minor) > ofMinor)
  })
}
