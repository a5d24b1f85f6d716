import { constants, stat } from 'node:fs/promises'
import { openConntrack } from '../kernel/conntrack/netlink-conntrack.ts'
import { moduleParameters } from '../kernel/sysctl/module-parameters.ts'
import { ProcSysctl } from '../kernel/sysctl/proc-sysctl.ts'
import { countProcessors } from '../kernel/sysctl/processors.ts'
import type { Sysctl } from '../kernel/sysctl/sysctl.ts'

/** The kernel's connection tracking, as far as it is set up at start. */
export interface ConntrackKernel {
  readonly sysctl: Sysctl
  /** Parameters of modules. */
  readonly modules: Sysctl
  processors(signal: AbortSignal): Promise<number>
  /** Whether the limit, which belongs to the whole host, can be set from this network namespace at all. */
  ownsLimit(signal: AbortSignal): Promise<boolean>
  /** Has the kernel load connection tracking. A failure shows when its parameters are still missing. */
  load(signal: AbortSignal): Promise<void>
}

/** A sysctl of connection tracking. */
export const parameter = (name: string): string => `net/netfilter/nf_conntrack_${name}`

/** That of this node. */
export const nodeConntrack = (): ConntrackKernel => ({
  sysctl: new ProcSysctl(),
  modules: moduleParameters(),
  processors: countProcessors,
  ownsLimit: async () => {
    // Outside the first network namespace the kernel takes the right to write away from everybody.
    const { mode } = await stat(`/proc/sys/${parameter('max')}`)
    return (mode & constants.S_IWUSR) !== 0
  },
  load: async (signal) => {
    try {
      const conntrack = openConntrack()
      try {
        await conntrack.flows({ family: 'IPv4', protocol: 'TCP' }, () => {}, signal)
      } finally {
        conntrack.close()
      }
    } catch {
      signal.throwIfAborted()
    }
  },
})
