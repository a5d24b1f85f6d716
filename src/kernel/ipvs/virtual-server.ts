import type { IP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import type { Protocol } from '../../model/protocol.ts'

/** What identifies a virtual server that has an address. Those for a firewall mark have none and are not shown. */
export interface VirtualServer {
  readonly protocol: Protocol
  readonly ip: IP
  /** Undefined: every port (0 in the kernel). */
  readonly port: Port | undefined
}

/** `TCP 192.0.2.1:80`, `UDP [2001:db8::1]:53`. */
export const virtualServerName = ({ protocol, ip, port }: VirtualServer): string => `${protocol} ${hostPort(ip, port)}`

export const hostPort = (ip: IP, port: Port | undefined): string => `${ip.includes(':') ? `[${ip}]` : ip}:${port ?? 0}`

/** The kernel's table of virtual servers. Rejections are {@link IpvsError}, or ExecError `aborted`. */
export interface VirtualServers {
  /** Undefined when IPVS is not in the kernel, or not loaded. Reading does not load it. */
  list(signal: AbortSignal): Promise<readonly VirtualServer[] | undefined>
  /** Removes them with their real servers. One that is gone already is no error. */
  remove(servers: readonly VirtualServer[], signal: AbortSignal): Promise<void>
}
