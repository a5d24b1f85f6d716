import type { ObservedRealServer, RealServer, VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import { type FlowEnd, flowEnd, sameEnd } from '../../model/flow.ts'
import { type DrainingServers, realServerName, type TaggedChange } from './server-diff.ts'

interface Draining {
  readonly server: RealServer
  /** Milliseconds of a monotonic clock. */
  readonly since: number
  /** Its connections are to end. */
  readonly over: boolean
}

interface Entry {
  readonly id: VirtualServerId
  readonly realServers: Map<string, Draining>
}

/**
 * Which real servers are kept for their connections only, and since when. The kernel knows the first, not the second: after
 * a restart a real server of weight 0 that nobody wants goes on draining, and its limit starts anew.
 */
export class DrainLedger {
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    let size = 0
    for (const { realServers } of this.#entries.values()) size += realServers.size
    return size
  }

  /** Those of one virtual server; weight 0, each. */
  of(name: string): readonly RealServer[] {
    return [...(this.#entries.get(name)?.realServers.values() ?? [])].map(({ server }) => server)
  }

  *servers(): Generator<DrainingServers> {
    for (const [name, { id }] of this.#entries) yield { id, realServers: this.of(name) }
  }

  /** Those of one virtual server are these from now on. Who drained before goes on since then. Whether one is new. */
  set({ id, realServers }: DrainingServers, now: number): boolean {
    const name = virtualServerName(id)
    const before = this.#entries.get(name)?.realServers
    const after = new Map<string, Draining>()
    let isNew = false
    for (const server of realServers) {
      const key = realServerName(server)
      const { since, over = false } = before?.get(key) ?? {}
      isNew ||= since === undefined
      after.set(key, { server, since: since ?? now, over })
    }
    if (after.size === 0) this.#entries.delete(name)
    else this.#entries.set(name, { id, realServers: after })
    return isNew
  }

  /** These of a virtual server are to go with their connections. Whether any is there. */
  end(name: string, ends: readonly FlowEnd[]): boolean {
    const { realServers = new Map<string, Draining>() } = this.#entries.get(name) ?? {}
    let isAny = false
    for (const [key, draining] of realServers) {
      const at = flowEnd(draining.server.ip, draining.server.port)
      if (!ends.some((end) => sameEnd(end, at))) continue
      realServers.set(key, { ...draining, over: true })
      isAny = true
    }
    return isAny
  }

  forget(id: VirtualServerId, server: Pick<RealServer, 'ip' | 'port'>): void {
    const name = virtualServerName(id)
    const entry = this.#entries.get(name)
    entry?.realServers.delete(realServerName(server))
    if (entry?.realServers.size === 0) this.#entries.delete(name)
  }

  /** Only these virtual servers are there. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name)
  }

  /**
   * What becomes of the draining ones of one virtual server, of which `found` are there: those without connections go, and
   * after `limitMs` all; 0 = no limit. So do those that were told to {@link end}. What goes, or is gone, is forgotten here.
   */
  check(id: VirtualServerId, found: readonly ObservedRealServer[], now: number, limitMs: number): TaggedChange[] {
    const entry = this.#entries.get(virtualServerName(id))
    const there = new Map(found.map((server) => [realServerName(server), server]))
    const changes: TaggedChange[] = []
    for (const [key, { server, since, over }] of entry?.realServers ?? []) {
      const present = there.get(key)
      if (present === undefined) this.forget(id, server)
      else if (over || present.active + present.inactive === 0 || (limitMs > 0 && now - since >= limitMs)) {
        this.forget(id, server)
        changes.push({ change: { kind: 'deleteRealServer', id, server }, tag: undefined })
      } else if (present.weight > 0) changes.push({ change: { kind: 'setRealServer', id, server }, tag: undefined })
    }
    return changes
  }
}
