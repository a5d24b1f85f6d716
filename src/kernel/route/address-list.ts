import type { IP } from '../../model/ip.ts'
import type { InterfaceAddress } from './interface-address.ts'

/** In 127.0.0.0/8, or ::1. */
export const isLoopback = (ip: IP): boolean => ip === '::1' || ip.startsWith('127.')

/** As every list of addresses is sorted. */
export const byIndexAndAddress = (a: InterfaceAddress, b: InterfaceAddress): number =>
  a.index - b.index || (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0)

export const sameAddresses = (a: readonly InterfaceAddress[], b: readonly InterfaceAddress[]): boolean =>
  a.length === b.length && a.every((address, i) => sameAddress(address, b[i]))

const sameAddress = (a: InterfaceAddress, b: InterfaceAddress | undefined): boolean =>
  a.ip === b?.ip && a.interface === b.interface && a.index === b.index && a.scope === b.scope
