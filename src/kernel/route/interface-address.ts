import type { Family, IP } from '../../model/ip.ts'

/** How far an address is valid: RT_SCOPE_* of linux/rtnetlink.h. `other`: a scope of the administrator's own. */
export type AddressScope = 'global' | 'site' | 'link' | 'host' | 'nowhere' | 'other'

/** One address of the node, whether its interface is up or not. */
export interface InterfaceAddress {
  readonly ip: IP
  readonly family: Family
  readonly interface: string
  readonly index: number
  readonly scope: AddressScope
  /** In 127.0.0.0/8, or ::1. Other addresses of `lo` can be reached from outside and are not loopback. */
  readonly loopback: boolean
}

export interface Link {
  readonly name: string
  readonly index: number
}

/** The network interfaces of this process's namespace. Rejections are KernelError, or the signal's reason. */
export interface Route {
  /** Sorted by interface index and address. */
  listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]>
  /**
   * Resolves with the present list, after which each change calls `onChange` with the whole new list until `signal`
   * aborts. Nothing between the two is missed. Changes in quick succession may come as one. While the kernel cannot be
   * read `onError` is told, and reading goes on.
   */
  watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    onError?: (error: unknown) => void,
  ): Promise<readonly InterfaceAddress[]>
  findLink(name: string, signal: AbortSignal): Promise<Link | undefined>
  /** False when there is no such link. Its addresses go with it. */
  deleteLink(name: string, signal: AbortSignal): Promise<boolean>
}
