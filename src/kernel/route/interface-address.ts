import type { Family, IP } from '../../model/ip.ts'
import type { KernelError } from '../netlink/error.ts'

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
  /** As `ip link add type` has it: `dummy`, `bridge`, `veth`; undefined for devices of hardware and lo. */
  readonly kind: string | undefined
  readonly up: boolean
}

export type AddressPurpose = 'any' | 'destination'

/** An address that the kernel would not add or remove. */
export interface AddressRefusal {
  readonly ip: IP
  readonly error: KernelError
}

export interface AddressWatch {
  /**
   * The name of an interface that does not count: its addresses are not in the lists, and what happens to it causes no
   * reading. For one with so many addresses that a look at all of them for each change would cost too much.
   */
  readonly ignore?: string
  /** Told when the kernel cannot be read; reading goes on. */
  readonly onError?: (error: unknown) => void
}

/**
 * What an interface lost, whoever took it away.
 *
 * - `addresses`: in the kernel's order; some may be there again.
 * - `link`: the interface was deleted, or has another name now. Its addresses went with it.
 * - `down`: it was shut down. Of its addresses those of IPv6 are gone, and told as `addresses`.
 * - `unknown`: the kernel had more to tell than it could; anything may be gone.
 */
export type LinkLoss =
  | { readonly kind: 'addresses'; readonly ips: readonly IP[] }
  | { readonly kind: 'link' }
  | { readonly kind: 'down' }
  | { readonly kind: 'unknown' }

export interface AddressChange {
  readonly add: readonly IP[]
  /**
   * What added ones are for; `any` unless given. `destination`: the kernel does not choose them as sources, not for
   * masquerading either, but for packets to themselves: IPv4 of scope host, IPv6 deprecated from the start.
   */
  readonly purpose?: AddressPurpose
  readonly remove: readonly IP[]
}

/** The network interfaces of this process's namespace. Rejections are KernelError, or the signal's reason. */
export interface Route {
  /** Sorted by interface index and address. */
  listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]>
  /**
   * Resolves with the present list, after which each change calls `onChange` with the whole new list until `signal`
   * aborts. Nothing between the two is missed. Changes in quick succession may come as one.
   */
  watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    options?: AddressWatch,
  ): Promise<readonly InterfaceAddress[]>
  /**
   * Tells what the interface of that name loses, until `signal` aborts, and whether or not it is there yet. Nothing that
   * goes after the promise has resolved is missed. Nothing is read for it, so it costs as much as there are changes. What
   * this process removes itself is told too.
   */
  watchLink(name: string, onLoss: (loss: LinkLoss) => void, signal: AbortSignal): Promise<void>
  /** Every interface, sorted by index. */
  listLinks(signal: AbortSignal): Promise<readonly Link[]>
  findLink(name: string, signal: AbortSignal): Promise<Link | undefined>
  /** False when there is no such link. Its addresses go with it. */
  deleteLink(name: string, signal: AbortSignal): Promise<boolean>
  /**
   * A dummy device of that name that is up. False when the device was there. `exists` when the name is that of another
   * kind of device, `unsupported` where the kernel has no dummy devices.
   */
  ensureDummy(name: string, signal: AbortSignal): Promise<boolean>
  /**
   * Host addresses (/32, /128; IPv6 without duplicate address detection) of an interface, in as few datagrams as it takes;
   * removed first, then added. What is there already, or gone already, is no error. Each is accepted or refused by
   * itself; `notFound` for all when there is no such interface. Where the interface is up, packets to those added stay on
   * the node from then on, unless the kernel takes more than a second for it.
   */
  changeAddresses(name: string, change: AddressChange, signal: AbortSignal): Promise<readonly AddressRefusal[]>
}
