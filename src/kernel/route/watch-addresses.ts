import { protocols } from '../netlink/constants.ts'
import { subscribe } from '../netlink/subscription.ts'
import type { MessageReader } from '../netlink/wire.ts'
import { byIndexAndAddress, sameAddresses } from './address-list.ts'
import type { AddressWatch, InterfaceAddress, Link } from './interface-address.ts'
import {
  eventBuffer,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
  readIndex,
  readLink,
} from './rtnetlink.ts'

/** How the kernel is read. */
export interface AddressReader {
  /** Every interface with what it has. */
  all(signal: AbortSignal): Promise<ReadonlyMap<Link, readonly InterfaceAddress[]>>
  linkOf(index: number, signal: AbortSignal): Promise<Link | undefined>
  /** Empty when the interface is gone. */
  addressesOf(link: Link, signal: AbortSignal): Promise<readonly InterfaceAddress[]>
}

/** Milliseconds in which further events are waited for. */
const settle = 10
/** Reading takes at most a quarter of the time, however many events there are. */
const restPerRead = 3
/** Milliseconds until what could not be read is tried again. */
const retry = 1_000

interface Known {
  readonly name: string
  readonly addresses: readonly InterfaceAddress[]
}

/**
 * Follows the addresses of a network namespace. An event only tells which interface to read again, so that neither its
 * content nor the order of events and reads matters; when events are lost everything is read again.
 */
export class AddressWatcher {
  readonly #reader: AddressReader
  readonly #onChange: (addresses: readonly InterfaceAddress[]) => void
  readonly #signal: AbortSignal
  readonly #ignore: string | undefined
  readonly #onError: (error: unknown) => void

  /** By index. */
  readonly #interfaces = new Map<number, Known>()
  /** The index of the interface that does not count, while it is there. */
  #ignored: number | undefined
  #list: readonly InterfaceAddress[] = []

  readonly #dirty = new Set<number>()
  #isAllDirty = true
  #isReading = false
  #timer: NodeJS.Timeout | undefined
  /** As performance.now() counts. */
  #notBefore = 0

  constructor(
    reader: AddressReader,
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    { ignore, onError = () => {} }: AddressWatch,
  ) {
    this.#reader = reader
    this.#onChange = onChange
    this.#signal = signal
    this.#ignore = ignore
    this.#onError = onError
  }

  async start(): Promise<readonly InterfaceAddress[]> {
    const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR]
    // Subscribed before anything is read: what changes during that is read again.
    const subscription = subscribe(
      { protocol: protocols.route, groups, receiveBuffer: eventBuffer },
      {
        onMessage: (message) => this.#handle(message),
        onLost: () => {
          this.#isAllDirty = true
          this.#schedule(settle)
        },
      },
      this.#signal,
    )
    try {
      await this.#read()
    } catch (error) {
      subscription.close()
      throw error
    }
    this.#signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true })
    this.#list = this.#sorted()
    if (this.#dirty.size > 0 || this.#isAllDirty) this.#schedule(settle)
    return this.#list
  }

  #handle(message: MessageReader): void {
    switch (message.type) {
      case RTM_NEWADDR:
      case RTM_DELADDR: {
        const index = readIndex(message)
        if (index !== this.#ignored) this.#mark(index)
        return
      }
      case RTM_NEWLINK:
      case RTM_DELLINK: {
        const link = readLink(message)
        if (link !== undefined) this.#linkChanged(link, message.type === RTM_NEWLINK)
        return
      }
      default:
    }
  }

  /** Of a link itself only its name and its end matter; one that comes has no addresses yet. */
  #linkChanged({ index, name }: Link, isThere: boolean): void {
    const known = this.#interfaces.get(index)
    const wasIgnored = index === this.#ignored
    const isIgnored = isThere && name === this.#ignore
    if (isIgnored) this.#ignored = index
    else if (wasIgnored) this.#ignored = undefined
    const matters = known === undefined ? wasIgnored && isThere && !isIgnored : !isThere || known.name !== name
    // What is being read may be from before this event.
    if (matters || (this.#isReading && !isIgnored)) this.#mark(index)
  }

  #mark(index: number): void {
    this.#dirty.add(index)
    this.#schedule(settle)
  }

  #schedule(delay: number): void {
    if (this.#isReading || this.#signal.aborted) return
    this.#timer ??= setTimeout(() => void this.#refresh(), Math.max(delay, this.#notBefore - performance.now()))
  }

  async #refresh(): Promise<void> {
    this.#timer = undefined
    let delay = settle
    try {
      await this.#read()
      if (this.#signal.aborted) return
      const list = this.#sorted()
      const isChanged = !sameAddresses(this.#list, list)
      this.#list = list
      if (isChanged) this.#onChange(list)
    } catch (error) {
      if (this.#signal.aborted) return
      delay = retry
      this.#onError(error)
    }
    if (this.#dirty.size > 0 || this.#isAllDirty) this.#schedule(delay)
  }

  /** What cannot be read stays dirty. */
  async #read(): Promise<void> {
    this.#isReading = true
    const began = performance.now()
    try {
      if (this.#isAllDirty) await this.#readAll()
      for (const index of [...this.#dirty]) await this.#readOne(index)
    } finally {
      this.#isReading = false
      this.#notBefore = performance.now() + restPerRead * (performance.now() - began)
    }
  }

  async #readAll(): Promise<void> {
    this.#isAllDirty = false
    this.#dirty.clear()
    try {
      const found = await this.#reader.all(this.#signal)
      this.#interfaces.clear()
      this.#ignored = undefined
      for (const [link, addresses] of found) this.#put(link, addresses)
    } catch (error) {
      this.#isAllDirty = true
      throw error
    }
  }

  async #readOne(index: number): Promise<void> {
    this.#dirty.delete(index)
    try {
      const link = await this.#reader.linkOf(index, this.#signal)
      if (link === undefined) this.#interfaces.delete(index)
      else if (link.name === this.#ignore) this.#put(link, [])
      else this.#put(link, await this.#reader.addressesOf(link, this.#signal))
    } catch (error) {
      this.#dirty.add(index)
      throw error
    }
  }

  #put({ index, name }: Link, addresses: readonly InterfaceAddress[]): void {
    if (name === this.#ignore) {
      this.#ignored = index
      this.#interfaces.delete(index)
    } else this.#interfaces.set(index, { name, addresses })
  }

  #sorted(): readonly InterfaceAddress[] {
    return [...this.#interfaces.values()].flatMap(({ addresses }) => addresses).sort(byIndexAndAddress)
  }
}
