import { prepareIpvs } from '../backends/ipvs/prepare.ts'
import type { Config } from '../config/config.ts'
import type { Ipvs } from '../kernel/ipvs/ipvs.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { ProcSysctl } from '../kernel/sysctl/proc-sysctl.ts'
import type { Sysctl } from '../kernel/sysctl/sysctl.ts'
import { SysctlError } from '../kernel/sysctl/sysctl-error.ts'
import { wholeSeconds } from './conntrack.ts'
import { describe, FatalError } from './fatal.ts'
import { defaultSchedulerOf } from './settings.ts'

export interface PrepareIpvsParts {
  readonly ipvs: Ipvs
  readonly sysctl?: Sysctl
  /** One line about what is not as it was asked for, and does no harm. */
  readonly warn: (line: string) => void
}

/**
 * Returns what holds then, in words: `net.ipv4.vs.conntrack is 1`.
 *
 * @throws FatalError with what is missing, or cannot be set
 */
export const prepareIpvsNode = async (
  config: Pick<Config, 'mode' | 'ipvs'>,
  { ipvs, sysctl = new ProcSysctl(), warn }: PrepareIpvsParts,
  signal: AbortSignal,
): Promise<readonly string[]> => {
  const { strictArp, tcpTimeoutMs, tcpFinTimeoutMs, udpTimeoutMs } = config.ipvs
  const scheduler = defaultSchedulerOf(config)
  const timeouts = {
    tcp: wholeSeconds(tcpTimeoutMs),
    tcpFin: wholeSeconds(tcpFinTimeoutMs),
    udp: wholeSeconds(udpTimeoutMs),
  }
  const onError = (error: unknown): void => warn(`the timeouts of IPVS stay as they are: ${describe(error)}`)
  try {
    const values = await prepareIpvs({ ipvs, sysctl, scheduler, strictArp, timeouts, onError }, signal)
    return [...values].map(([name, value]) => `${name.replaceAll('/', '.')} is ${value}`)
  } catch (error) {
    signal.throwIfAborted()
    throw ipvsUnusable(error, scheduler)
  }
}

const ipvsUnusable = (error: unknown, scheduler: string): unknown => {
  if (error instanceof SysctlError) {
    const way = '--init-only in a privileged init container sets it beforehand'
    return new FatalError(`mode ipvs needs what cannot be set: ${error.message}; ${way}`, error)
  }
  if (!(error instanceof KernelError)) return error
  switch (error.code) {
    case 'unsupported':
      return new FatalError('the kernel has no IPVS: module ip_vs cannot be loaded', error)
    case 'permission':
      return new FatalError('no permission to change IPVS: CAP_NET_ADMIN is needed', error)
    case 'notFound':
      return new FatalError(
        `the kernel has no scheduler "${scheduler}": module ip_vs_${scheduler} cannot be loaded`,
        error,
      )
    default:
      return new FatalError(`IPVS cannot be used: ${describe(error)}`, error)
  }
}
