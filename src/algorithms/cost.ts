import type { Server } from './server.ts'

/**
 * How connections add up to an overhead (ip_vs_dest_conn_overhead, include/net/ip_vs.h). `legacy`: active × 256 +
 * inactive. `total`: active × 256 + all connections, so active × 257 + inactive, since Linux 6.1.183 and 6.12.104. They
 * differ once a server has about 256 times as many inactive connections as active ones.
 */
export type OverheadModel = 'total' | 'legacy'

/** What an active connection costs when an inactive one costs 1. */
export const activeCost = (model: OverheadModel = 'total'): number => (model === 'legacy' ? 256 : 257)

/** In the kernel's 32 bits. `active`: from `activeCost`. */
export const overhead = (server: Server, active: number): number =>
  (Math.imul(server.active, active) + server.inactive) | 0

/**
 * a × b > c × d for 32-bit integers, exactly, as the kernel's 64-bit products compare. Products beyond 2^53 are rounded;
 * rounding keeps their order or makes them equal, and then they lie so close that their low 32 bits tell.
 */
export const productExceeds = (a: number, b: number, c: number, d: number): boolean => {
  const left = a * b
  const right = c * d
  return left === right ? ((Math.imul(a, b) - Math.imul(c, d)) | 0) > 0 : left > right
}
