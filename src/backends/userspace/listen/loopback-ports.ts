import type { ServiceState } from '../../../model/desired.ts'
import type { ServicePortId } from '../../../model/names.ts'
import type { PortRange } from '../settings.ts'

/** What a port is wanted for. */
export type PortUser = Pick<ServiceState, 'id' | 'protocol'>

/** Ports of one protocol, `TCP 20017`. */
const slot = (protocol: string, port: number): string => `${protocol} ${port}`

/** FNV-1a, 32 bits (draft-eastlake-fnv), over the text's UTF-16 units: the same for a service port on every start. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}

/**
 * Which loopback port each service port has. The first choice follows from its name; the next free one of the range
 * where that is taken, so that equal clusters give equal ports but for collisions, and what has a port keeps it.
 */
export class LoopbackPorts {
  readonly #range: PortRange
  readonly #ports = new Map<ServicePortId, number>()
  readonly #users = new Map<string, ServicePortId>()

  constructor(range: PortRange) {
    this.#range = range
  }

  of(id: ServicePortId): number | undefined {
    return this.#ports.get(id)
  }

  /**
   * The ports of `users`, changing nothing: those that they have, and for new ones the first that nobody has and that is
   * not among `taken`. undefined: the range is full.
   */
  plan(users: Iterable<PortUser>, taken: ReadonlySet<string>): ReadonlyMap<ServicePortId, number | undefined> {
    const planned = new Map<ServicePortId, number | undefined>()
    const fresh = new Set<string>(taken)
    for (const user of users) {
      const port = this.#ports.get(user.id) ?? this.#free(user, this.#first(user.id), fresh)
      planned.set(user.id, port)
      if (port !== undefined) fresh.add(slot(user.protocol, port))
    }
    return planned
  }

  /** The one after `port` that nobody has. */
  next({ id, protocol }: PortUser, port: number, taken: ReadonlySet<string>): number | undefined {
    const following = this.#free({ id, protocol }, port + 1, taken)
    return following === port ? undefined : following
  }

  take({ id, protocol }: PortUser, port: number): void {
    this.release({ id, protocol })
    this.#ports.set(id, port)
    this.#users.set(slot(protocol, port), id)
  }

  release({ id, protocol }: PortUser): void {
    const port = this.#ports.get(id)
    if (port === undefined) return
    this.#ports.delete(id)
    this.#users.delete(slot(protocol, port))
  }

  #first(id: ServicePortId): number {
    const { first, last } = this.#range
    return first + (hash(id) % (last - first + 1))
  }

  #free({ id, protocol }: PortUser, from: number, taken: ReadonlySet<string>): number | undefined {
    const { first, last } = this.#range
    const size = last - first + 1
    for (let i = 0; i < size; i++) {
      const port = first + ((from - first + i) % size)
      const key = slot(protocol, port)
      const user = this.#users.get(key)
      if ((user === undefined || user === id) && !taken.has(key)) return port
    }
    return undefined
  }
}

/** NodePorts: a loopback port of the same number would be in their way. */
export const nodePortSlots = (states: Iterable<ServiceState>): ReadonlySet<string> => {
  const slots = new Set<string>()
  for (const { protocol, nodePort } of states) if (nodePort !== undefined) slots.add(slot(protocol, nodePort))
  return slots
}
