import type { InterfaceAddress, Link, Route } from './interface-address.ts'

/** {@link Route} in memory. Watchers are called at once. */
export class FakeRoute implements Route {
  #addresses: readonly InterfaceAddress[] = []
  readonly #links = new Map<string, Link>()
  readonly #watchers = new Set<(addresses: readonly InterfaceAddress[]) => void>()

  /** Replaces the node's addresses; their interfaces come into being. */
  setAddresses(addresses: readonly InterfaceAddress[]): void {
    this.#addresses = addresses.toSorted((a, b) => a.index - b.index || (a.ip < b.ip ? -1 : 1))
    for (const { interface: name, index } of addresses) this.#links.set(name, { name, index })
    for (const watcher of this.#watchers) watcher(this.#addresses)
  }

  addLink(link: Link): void {
    this.#links.set(link.name, link)
  }

  async listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]> {
    signal.throwIfAborted()
    return this.#addresses
  }

  async watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
  ): Promise<readonly InterfaceAddress[]> {
    signal.throwIfAborted()
    this.#watchers.add(onChange)
    signal.addEventListener('abort', () => this.#watchers.delete(onChange), { once: true })
    return this.#addresses
  }

  async findLink(name: string, signal: AbortSignal): Promise<Link | undefined> {
    signal.throwIfAborted()
    return this.#links.get(name)
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    if (!this.#links.delete(name)) return false
    const rest = this.#addresses.filter((address) => address.interface !== name)
    if (rest.length !== this.#addresses.length) this.setAddresses(rest)
    return true
  }
}
