import type { Server } from './server.ts'

/**
 * When lblc and lblcr look for another server (is_overloaded in ip_vs_lblc.c; not the overload flag): `server` has more
 * active connections than its weight, and some server of the service, usable or not, has fewer than half of its own. O(n).
 */
export const isCrowded = (server: Server, servers: readonly Server[]): boolean => {
  if (server.active <= server.weight) return false
  for (let i = 0; i < servers.length; i++) {
    const other = servers[i]
    if (other !== undefined && other.active * 2 < other.weight) return true
  }
  return false
}
