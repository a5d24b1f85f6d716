import { access } from 'node:fs/promises'
import { ProcSysctl } from './proc-sysctl.ts'
import { readInteger, type Sysctl } from './sysctl.ts'
import { SysctlError } from './sysctl-error.ts'

export interface Ipv6Source {
  readonly sysctl?: Sysctl
  /** Exists while the IPv6 stack is loaded. */
  readonly addressList?: string
}

/**
 * Whether this network namespace can use IPv6: the stack is there (it is not with the boot parameter
 * `ipv6.disable=1`) and not switched off for all interfaces. Throws {@link SysctlError}.
 */
export const ipv6Enabled = async (
  signal: AbortSignal,
  { sysctl = new ProcSysctl(), addressList = '/proc/net/if_inet6' }: Ipv6Source = {},
): Promise<boolean> => {
  try {
    await access(addressList)
    return (await readInteger(sysctl, 'net/ipv6/conf/all/disable_ipv6', signal)) === 0
  } catch (cause) {
    const error = cause instanceof SysctlError ? cause : SysctlError.ofSystem(`access ${addressList}`, cause)
    if (error.code === 'missing') return false
    throw error
  }
}
