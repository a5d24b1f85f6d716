import type { Config } from '../config/config.ts'
import { NetlinkIpvs } from '../kernel/ipvs/netlink-ipvs.ts'
import { applyConntrack } from './conntrack.ts'
import { nodeConntrack } from './conntrack-kernel.ts'
import { prepareIptables, tryNfacct } from './prepare-iptables.ts'
import { prepareIpvsNode } from './prepare-ipvs.ts'

/**
 * `--init-only`: what needs more privilege than NET_ADMIN, for an init container.
 *
 * @throws FatalError with what cannot be set
 */
export const initOnly = async (config: Config, say: (line: string) => void, signal: AbortSignal): Promise<void> => {
  const done: string[] = []
  const conntrack = await applyConntrack(config, nodeConntrack(), signal)
  for (const remark of conntrack.remarks) say(remark)
  done.push(...conntrack.done)
  if (config.mode === 'iptables') {
    const nfacct = tryNfacct()
    try {
      const facts = await prepareIptables(config, { servesIPv4: true, nfacct }, signal)
      if (facts.routeLocalnet) done.push('route_localnet is on')
      if (facts.nfacct) done.push('nfacct objects are there')
    } finally {
      nfacct?.close()
    }
  }
  if (config.mode === 'ipvs') {
    const ipvs = new NetlinkIpvs()
    try {
      done.push(...(await prepareIpvsNode(config, { ipvs, warn: say }, signal)))
    } finally {
      ipvs.close()
    }
  }
  say(
    done.length === 0
      ? `nothing to do for --init-only: mode ${config.mode} sets nothing that needs more privilege`
      : `done for --init-only: ${done.join(', ')}`,
  )
}
