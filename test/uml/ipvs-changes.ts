/** Changes of IPVS in few words. */
import type { IpvsChange, RealServer, VirtualServer, VirtualServerId } from '../../src/kernel/ipvs/ipvs.ts'
import type { Family } from '../../src/model/ip.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import { ip } from '../support/lvs.ts'

export const at = (address: string, port: number, protocol: Protocol = 'TCP'): VirtualServerId => ({
  kind: 'address',
  protocol,
  ip: ip(address),
  port,
})

export const marked = (mark: number, family: Family = 'IPv4'): VirtualServerId => ({ kind: 'mark', family, mark })

const isIPv6 = (id: VirtualServerId): boolean => (id.kind === 'mark' ? id.family === 'IPv6' : id.ip.includes(':'))

export const virtual = (id: VirtualServerId, more: Partial<VirtualServer> = {}): VirtualServer => ({
  id,
  scheduler: 'rr',
  flags: [],
  persistenceSeconds: 0,
  persistencePrefix: isIPv6(id) ? 128 : 32,
  ...more,
})

export const real = (address: string, port: number, more: Partial<RealServer> = {}): RealServer => ({
  ip: ip(address),
  port,
  forwarding: 'masquerade',
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
  ...more,
})

type ServerChange = 'addVirtualServer' | 'setVirtualServer'
type RealChange = 'addRealServer' | 'setRealServer'

const server = (kind: ServerChange, id: VirtualServerId, more?: Partial<VirtualServer>): IpvsChange => ({
  kind,
  server: virtual(id, more),
})
export const add = (id: VirtualServerId, more?: Partial<VirtualServer>): IpvsChange =>
  server('addVirtualServer', id, more)
export const set = (id: VirtualServerId, more?: Partial<VirtualServer>): IpvsChange =>
  server('setVirtualServer', id, more)
export const drop = (id: VirtualServerId): IpvsChange => ({ kind: 'deleteVirtualServer', id })

const put =
  (kind: RealChange) =>
  (id: VirtualServerId, address: string, port: number, more?: Partial<RealServer>): IpvsChange => ({
    kind,
    id,
    server: real(address, port, more),
  })
export const attach = put('addRealServer')
export const adjust = put('setRealServer')
export const detach = (id: VirtualServerId, address: string, port: number): IpvsChange => ({
  kind: 'deleteRealServer',
  id,
  server: { ip: ip(address), port },
})
