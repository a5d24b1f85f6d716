import { setTimeout as sleep } from 'node:timers/promises'
import { familyOf, type IP } from '../../model/ip.ts'
import type { Connection } from '../netlink/connection.ts'
import type { Request } from '../netlink/request.ts'
import { RTM_GETROUTE, RTM_NEWROUTE, readRoute, routeToBody } from './rtmsg.ts'

const firstPauseMs = 1
/** With an interface that is up this takes a moment; what takes longer is not worth waiting for. */
const limitMs = 1_000

/**
 * Waits until packets to addresses that were just added stay on the node. An IPv4 address is local when the kernel
 * acknowledges it. One of IPv6 is so when a worker of the kernel gets to it, without duplicate address detection, too
 * (net/ipv6/addrconf.c, addrconf_dad_start): on a busy machine that takes milliseconds, in which packets to it go where
 * the routes lead, and connections begin that break when it is local.
 */
export const untilLocal = async (connection: Connection, ips: readonly IP[], signal: AbortSignal): Promise<void> => {
  const giveUp = performance.now() + limitMs
  let waiting = ips.filter((ip) => familyOf(ip) === 'IPv6')
  for (let pauseMs = 0; waiting.length > 0 && performance.now() < giveUp; pauseMs = 2 * pauseMs || firstPauseMs) {
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    const asked = waiting
    const local = new Set<IP>()
    // What is refused has no route at all yet.
    await connection.exchange(asked.map(routeTo), signal, (message, index) => {
      const ip = asked[index]
      if (ip !== undefined && message.type === RTM_NEWROUTE && readRoute(message)?.kind === 'local') local.add(ip)
    })
    waiting = asked.filter((ip) => !local.has(ip))
  }
}

const routeTo = (ip: IP): Request => ({ op: `find the route to ${ip}`, type: RTM_GETROUTE, body: routeToBody(ip) })
