import { FakeIpset } from '../../src/kernel/ipset/fake-ipset.ts'
import type { Ipset, SetHeader, SetRef, SetSpec } from '../../src/kernel/ipset/ipset.ts'
import type { Member } from '../../src/kernel/ipset/member.ts'
import type { Iptables } from '../../src/kernel/iptables/iptables.ts'
import type { TableChange } from '../../src/kernel/iptables/restore-builder.ts'
import { FakeIpvs, type FakeIpvsOptions } from '../../src/kernel/ipvs/fake-ipvs.ts'
import type { Ipvs, IpvsChange, IpvsRefusal, VirtualServerId } from '../../src/kernel/ipvs/ipvs.ts'
import { changeLine } from '../../src/kernel/ipvs/names.ts'
import { FakeRoute } from '../../src/kernel/route/fake-route.ts'
import type { AddressChange, AddressRefusal, Route } from '../../src/kernel/route/interface-address.ts'
import type { Family } from '../../src/model/ip.ts'
import { fakeKernel, type RuleKernel } from './sync-iptables-kernel.ts'

/** All that mode ipvs writes to, of both families. */
export interface ServerKernel extends RuleKernel {
  readonly ipvs: Ipvs
  readonly route: Route
}

export const fakeServerKernel = (
  options: FakeIpvsOptions = {},
  sets: Iterable<SetHeader> = [],
): ServerKernel & { readonly ipvs: FakeIpvs; readonly route: FakeRoute; readonly ipset: FakeIpset } => {
  const { iptables, ipset } = fakeKernel('legacy', sets)
  if (!(ipset instanceof FakeIpset)) throw new TypeError('not in memory')
  return { iptables, ipset, ipvs: new FakeIpvs(options), route: new FakeRoute() }
}

/** Thrown where a process ends, or a request does. */
export class Interrupted extends Error {
  readonly code = 'io'
}

/**
 * Writes down what is written, in order and one line per thing, and interrupts it when told to: in the middle of a batch,
 * too, as it may happen to anyone.
 */
export class Journal {
  lines: string[] = []
  /** Requests that read, and requests that write. */
  looks = 0
  requests = 0
  /** How many things may still be written. */
  #left = Number.POSITIVE_INFINITY

  begin(left = Number.POSITIVE_INFINITY): void {
    this.lines = []
    this.looks = 0
    this.requests = 0
    this.#left = left
  }

  /** How many of `wanted` may be written; all, or the last ones for now. */
  take(wanted: number): number {
    const taken = Math.min(wanted, this.#left)
    this.#left -= taken
    return taken
  }

  get isOver(): boolean {
    return this.#left <= 0
  }

  async write<T, R>(
    all: readonly T[],
    line: (each: T) => string,
    write: (some: readonly T[]) => Promise<R>,
  ): Promise<R> {
    if (this.isOver) throw new Interrupted('interrupted')
    this.requests++
    const some = all.slice(0, this.take(all.length))
    const result = await write(some)
    for (const each of some) this.lines.push(line(each))
    if (some.length < all.length) throw new Interrupted('interrupted')
    return result
  }

  async read<T>(read: () => Promise<T>): Promise<T> {
    if (this.isOver) throw new Interrupted('interrupted')
    this.looks++
    return await read()
  }
}

/** The kernel through a journal. */
export const journaled = (kernel: ServerKernel, journal: Journal): ServerKernel => ({
  ipvs: new JournaledIpvs(kernel.ipvs, journal),
  route: journaledRoute(kernel.route, journal),
  ipset: new JournaledIpset(kernel.ipset, journal),
  iptables: {
    IPv4: journaledIptables(kernel.iptables.IPv4, journal),
    IPv6: journaledIptables(kernel.iptables.IPv6, journal),
  },
})

class JournaledIpvs implements Ipvs {
  readonly #inner: Ipvs
  readonly #journal: Journal

  constructor(inner: Ipvs, journal: Journal) {
    this.#inner = inner
    this.#journal = journal
  }

  loaded(signal: AbortSignal): Promise<boolean> {
    return this.#inner.loaded(signal)
  }

  virtualServers(signal: AbortSignal) {
    return this.#journal.read(() => this.#inner.virtualServers(signal))
  }

  realServers(id: VirtualServerId, signal: AbortSignal) {
    return this.#journal.read(() => this.#inner.realServers(id, signal))
  }

  async apply(changes: readonly IpvsChange[], signal: AbortSignal): Promise<readonly IpvsRefusal[]> {
    if (changes.length === 0) return []
    return await this.#journal.write(changes, changeLine, (some) => this.#inner.apply(some, signal))
  }

  timeouts(signal: AbortSignal) {
    return this.#inner.timeouts(signal)
  }

  setTimeouts(...args: Parameters<Ipvs['setTimeouts']>) {
    return this.#inner.setTimeouts(...args)
  }
}

const journaledRoute = (inner: Route, journal: Journal): Route => ({
  listAddresses: (signal) => journal.read(() => inner.listAddresses(signal)),
  watchAddresses: (...args) => inner.watchAddresses(...args),
  watchLink: (...args) => inner.watchLink(...args),
  listLinks: (signal) => inner.listLinks(signal),
  findLink: (name, signal) => journal.read(() => inner.findLink(name, signal)),
  deleteLink: (name, signal) =>
    journal.write(
      [name],
      (each) => `link del ${each}`,
      () => inner.deleteLink(name, signal),
    ),
  ensureDummy: (name, signal) =>
    journal.write(
      [name],
      (each) => `link add ${each}`,
      () => inner.ensureDummy(name, signal),
    ),
  changeAddresses: (name, { add, remove, ...how }: AddressChange, signal): Promise<readonly AddressRefusal[]> =>
    journal.write(
      [...remove.map((ip) => ({ ip, add: false })), ...add.map((ip) => ({ ip, add: true }))],
      (each) => `address ${each.add ? 'add' : 'del'} ${each.ip}`,
      (some) =>
        inner.changeAddresses(
          name,
          {
            add: some.flatMap((each) => (each.add ? [each.ip] : [])),
            remove: some.flatMap((each) => (each.add ? [] : [each.ip])),
            ...how,
          },
          signal,
        ),
    ),
})

class JournaledIpset implements Ipset {
  readonly #inner: Ipset
  readonly #journal: Journal

  constructor(inner: Ipset, journal: Journal) {
    this.#inner = inner
    this.#journal = journal
  }

  list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    return this.#journal.read(() => this.#inner.list(signal))
  }

  members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]> {
    return this.#journal.read(() => this.#inner.members(set, signal))
  }

  create(spec: SetSpec, signal: AbortSignal): Promise<void> {
    return this.#one(`create ${spec.name}`, () => this.#inner.create(spec, signal))
  }

  destroy(name: string, signal: AbortSignal): Promise<void> {
    return this.#one(`destroy ${name}`, () => this.#inner.destroy(name, signal))
  }

  swap(one: string, other: string, signal: AbortSignal): Promise<void> {
    return this.#one(`swap ${one} ${other}`, () => this.#inner.swap(one, other, signal))
  }

  rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    return this.#one(`rename ${from} ${to}`, () => this.#inner.rename(from, to, signal))
  }

  async add(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const all = [...members]
    if (all.length === 0) return
    await this.#journal.write(
      all,
      (member) => `add ${set.name} ${member}`,
      (some) => this.#inner.add(set, some, signal),
    )
  }

  async remove(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void> {
    const all = [...members]
    if (all.length === 0) return
    await this.#journal.write(
      all,
      (member) => `del ${set.name} ${member}`,
      (some) => this.#inner.remove(set, some, signal),
    )
  }

  async #one(line: string, write: () => Promise<void>): Promise<void> {
    await this.#journal.write([line], (each) => each, write)
  }
}

/** A restore is one thing: nobody sees half of one. */
const journaledIptables = (inner: Iptables, journal: Journal): Iptables => ({
  variant: inner.variant,
  family: inner.family,
  tables: (signal) => inner.tables(signal),
  save: (signal) => journal.read(() => inner.save(signal)),
  restore: (changes: readonly TableChange[], signal) =>
    journal.write(
      [inner.family],
      (family: Family) => `restore ${family}`,
      () => inner.restore(changes, signal),
    ),
  update: (...args) => inner.update(...args),
})
