import type { Config } from '../config/config.ts'
import { ProcSysctl } from '../kernel/sysctl/proc-sysctl.ts'
import { applyConntrack } from './conntrack.ts'
import { prepareIptables } from './prepare-iptables.ts'

/**
 * `--init-only`: what needs more privilege than NET_ADMIN, for an init container.
 *
 * @throws FatalError with what cannot be set
 */
export const initOnly = async (config: Config, say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const done: string[] = []
  if (await applyConntrack(config, new ProcSysctl(), signal)) done.push('tcp_be_liberal is on')
  if (config.mode === 'iptables') {
    const { routeLocalnet, nfacct } = await prepareIptables(config, true, signal)
    if (routeLocalnet) done.push('route_localnet is on')
    if (nfacct) done.push('nfacct objects are there')
  }
  say(
    done.length === 0
      ? `nothing to do for --init-only: mode ${config.mode} sets nothing that needs more privilege`
      : `done for --init-only: ${done.join(', ')}`,
  )
}
