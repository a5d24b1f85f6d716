import { SchedulerError } from './scheduler-error.ts'
import { isUsable, type Server } from './server.ts'

/**
 * The servers of a service in the kernel's order, which decides every tie. A new server goes to the **head**
 * (list_add_rcu in ip_vs_ctl.c): `ipvsadm -a` of A, B and C in turn makes the list C, B, A. A change moves nobody.
 */
export class ServerList {
  /** In list order. The same array for ever; only `link` and `unlink` change it. */
  readonly items: Server[]
  readonly #members: Set<Server>

  /** @throws SchedulerError `exists` when a server is given twice */
  constructor(servers: readonly Server[]) {
    this.items = [...servers]
    this.#members = new Set(servers)
    if (this.#members.size < servers.length) throw new SchedulerError('exists', 'servers', 'one of them is given twice')
  }

  /** IP_VS_DEST_F_AVAILABLE of a server that a cache remembers. */
  has(server: Server): boolean {
    return this.#members.has(server)
  }

  link(server: Server): void {
    if (this.#members.has(server)) throw new SchedulerError('exists', 'add', nameOf(server))
    this.#members.add(server)
    this.items.unshift(server)
  }

  /** @throws SchedulerError `not-found` */
  require(server: Server, op: string): void {
    if (!this.#members.has(server)) throw new SchedulerError('not-found', op, nameOf(server))
  }

  /** Returns where it was. */
  unlink(server: Server): number {
    this.require(server, 'remove')
    this.#members.delete(server)
    const index = this.items.indexOf(server)
    this.items.splice(index, 1)
    return index
  }

  /** The first usable server of the positions from `from` up to, but not including, `to`; -1 if there is none. */
  firstUsable(from: number, to: number): number {
    for (let i = from; i < to; i++) {
      const server = this.items[i]
      if (server !== undefined && isUsable(server)) return i
    }
    return -1
  }
}

const nameOf = ({ ip, port }: Server): string => `${ip} port ${port}`
