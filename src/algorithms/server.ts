import type { IP } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import { SchedulerError } from './scheduler-error.ts'

/**
 * A real server (struct ip_vs_dest, include/net/ip_vs.h). The caller owns it and keeps its counters true while
 * connections come and go, directly or with the functions of connections.ts; schedulers only read them. It can be in the
 * list of one scheduler at a time, because its load is the load of one service.
 */
export interface Server {
  readonly ip: IP
  readonly port: Port
  /** 0 to 2^31 - 1. 0 is quiesced: no new connections. Call `update` of its scheduler after a change. */
  weight: number
  /** The last weight that was not 0, or the one it was added with: what mh goes by. Schedulers keep it. */
  lastWeight: number
  /** Connections in use. TCP counts from the first SYN until one side closes; UDP never counts here. */
  active: number
  /** All other connections: closing ones, and all of UDP. */
  inactive: number
  /** IP_VS_DEST_F_OVERLOAD: beyond its upper threshold, and not yet below the lower one. */
  overloaded: boolean
  /** Connections at which it is overloaded; 0 for never. Set both with `setThresholds`. */
  upperThreshold: number
  /** It has recovered when it has fewer. 0 means three quarters of the upper threshold. */
  lowerThreshold: number
}

/** What `createServer` starts from; everything but the address is optional. */
export interface ServerSpec {
  readonly ip: IP
  readonly port: Port
  /** 1 unless given. */
  readonly weight?: number
  readonly active?: number
  readonly inactive?: number
  readonly overloaded?: boolean
}

/** @throws SchedulerError `out-of-range` for a weight or a counter that is negative, a fraction or beyond 31 bits */
export const createServer = (spec: ServerSpec): Server => {
  const { ip, port, weight = 1, active = 0, inactive = 0, overloaded = false } = spec
  checkInt('weight', weight)
  checkInt('active', active)
  checkInt('inactive', inactive)
  return { ip, port, weight, lastWeight: weight, active, inactive, overloaded, upperThreshold: 0, lowerThreshold: 0 }
}

/** The kernel's counters and weights are C ints, negative ones refused. */
export const checkInt = (op: string, value: number): void => {
  if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff)
    throw new SchedulerError('out-of-range', op, `${value} is no whole number from 0 to 2147483647`)
}

/** May get new connections. */
export const isUsable = (server: Server): boolean => server.weight > 0 && !server.overloaded

/** Of all servers that may get new connections. O(n). */
export const usableWeight = (servers: readonly Server[]): number => {
  let total = 0
  for (let i = 0; i < servers.length; i++) {
    const server = servers[i]
    if (server !== undefined && isUsable(server)) total += server.weight
  }
  return total
}
