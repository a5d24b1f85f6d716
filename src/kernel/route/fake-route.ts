import { familyOf, type IP } from '../../model/ip.ts'
import { KernelError } from '../netlink/error.ts'
import { byIndexAndAddress, isLoopback, sameAddresses } from './address-list.ts'
import type {
  AddressChange,
  AddressPurpose,
  AddressRefusal,
  AddressWatch,
  InterfaceAddress,
  Link,
  LinkLoss,
  Route,
} from './interface-address.ts'
import { otherKind } from './link-request.ts'

interface AddressWatcher {
  readonly onChange: (addresses: readonly InterfaceAddress[]) => void
  readonly ignore: string | undefined
  last: readonly InterfaceAddress[]
}

interface LinkWatcher {
  readonly name: string
  readonly onLoss: (loss: LinkLoss) => void
}

/** {@link Route} in memory. Watchers are called at once. `lo` is there only when it is added. */
export class FakeRoute implements Route {
  #addresses: readonly InterfaceAddress[] = []
  readonly #links = new Map<string, Link>()
  readonly #addressWatchers = new Set<AddressWatcher>()
  readonly #linkWatchers = new Set<LinkWatcher>()
  readonly #refused = new Map<IP, KernelError>()
  #hasDummies = true

  /**
   * Replaces the node's addresses, as somebody else would; their interfaces come into being, as devices of hardware that are
   * up.
   */
  setAddresses(addresses: readonly InterfaceAddress[]): void {
    for (const { interface: name, index } of addresses)
      if (!this.#links.has(name)) this.#links.set(name, { name, index, kind: undefined, up: true })
    this.#replace(addresses)
  }

  /** Adds a link, or changes it. */
  addLink(link: Link): void {
    const before = this.#links.get(link.name)
    this.#links.set(link.name, link)
    if (before?.up && !link.up) this.#tell(link.name, { kind: 'down' })
  }

  /** From now on the kernel does not add or remove this address. */
  refuse(ip: IP, error: KernelError): void {
    this.#refused.set(ip, error)
  }

  /** From now on the kernel has no dummy devices. */
  withoutDummies(): void {
    this.#hasDummies = false
  }

  /** What watchers of that interface would be told after an overflow. */
  loseEvents(name: string): void {
    this.#tell(name, { kind: 'unknown' })
  }

  async listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]> {
    signal.throwIfAborted()
    return this.#addresses
  }

  async watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    { ignore }: AddressWatch = {},
  ): Promise<readonly InterfaceAddress[]> {
    signal.throwIfAborted()
    const watcher = { onChange, ignore, last: without(this.#addresses, ignore) }
    this.#addressWatchers.add(watcher)
    signal.addEventListener('abort', () => this.#addressWatchers.delete(watcher), { once: true })
    return watcher.last
  }

  async watchLink(name: string, onLoss: (loss: LinkLoss) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const watcher = { name, onLoss }
    this.#linkWatchers.add(watcher)
    signal.addEventListener('abort', () => this.#linkWatchers.delete(watcher), { once: true })
  }

  async listLinks(signal: AbortSignal): Promise<readonly Link[]> {
    signal.throwIfAborted()
    return [...this.#links.values()].sort((a, b) => a.index - b.index)
  }

  async findLink(name: string, signal: AbortSignal): Promise<Link | undefined> {
    signal.throwIfAborted()
    return this.#links.get(name)
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    if (!this.#links.delete(name)) return false
    this.#replace(this.#addresses.filter((address) => address.interface !== name))
    this.#tell(name, { kind: 'link' })
    return true
  }

  async ensureDummy(name: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const found = this.#links.get(name)
    if (found === undefined) {
      if (!this.#hasDummies)
        throw new KernelError({ code: 'unsupported', op: `create dummy ${name}`, detail: 'Unknown device type' })
      this.#links.set(name, { name, index: this.#nextIndex(), kind: 'dummy', up: true })
      return true
    }
    if (found.kind !== 'dummy') throw otherKind(found)
    this.#links.set(name, { ...found, up: true })
    return false
  }

  async changeAddresses(
    name: string,
    { add, remove, purpose = 'any' }: AddressChange,
    signal: AbortSignal,
  ): Promise<readonly AddressRefusal[]> {
    signal.throwIfAborted()
    const link = this.#links.get(name)
    if (link === undefined) throw new KernelError({ code: 'notFound', op: `change addresses of ${name}` })
    const refusals: AddressRefusal[] = []
    const isTaken = (ip: IP): boolean => {
      const error = this.#refused.get(ip)
      if (error !== undefined) refusals.push({ ip, error })
      return error === undefined
    }
    const here = new Map(this.#addresses.filter((each) => each.interface === name).map((each) => [each.ip, each]))
    const elsewhere = this.#addresses.filter((each) => each.interface !== name)
    for (const ip of remove) if (here.has(ip) && isTaken(ip)) here.delete(ip)
    for (const ip of add) if (!here.has(ip) && isTaken(ip)) here.set(ip, hostAddress(ip, link, purpose))
    this.#replace([...elsewhere, ...here.values()])
    return refusals
  }

  #nextIndex(): number {
    return Math.max(0, ...[...this.#links.values()].map(({ index }) => index)) + 1
  }

  #replace(addresses: readonly InterfaceAddress[]): void {
    const before = this.#addresses
    this.#addresses = addresses.toSorted(byIndexAndAddress)
    for (const watcher of this.#addressWatchers) {
      const list = without(this.#addresses, watcher.ignore)
      if (sameAddresses(watcher.last, list)) continue
      watcher.last = list
      watcher.onChange(list)
    }
    for (const name of this.#links.keys()) {
      const kept = new Set(ipsOf(addresses, name))
      const ips = ipsOf(before, name).filter((ip) => !kept.has(ip))
      if (ips.length > 0) this.#tell(name, { kind: 'addresses', ips })
    }
  }

  #tell(name: string, loss: LinkLoss): void {
    for (const watcher of this.#linkWatchers) if (watcher.name === name) watcher.onLoss(loss)
  }
}

const without = (addresses: readonly InterfaceAddress[], name: string | undefined): readonly InterfaceAddress[] =>
  addresses.filter((address) => address.interface !== name)

const ipsOf = (addresses: readonly InterfaceAddress[], name: string): readonly IP[] =>
  addresses.filter((address) => address.interface === name).map(({ ip }) => ip)

const hostAddress = (ip: IP, { name, index }: Link, purpose: AddressPurpose): InterfaceAddress => ({
  ip,
  family: familyOf(ip),
  interface: name,
  index,
  scope: isLoopback(ip) || (purpose === 'destination' && familyOf(ip) === 'IPv4') ? 'host' : 'global',
  loopback: isLoopback(ip),
})
