import { isDeepStrictEqual } from 'node:util'
import type { ServicePortId } from '../../model/names.ts'
import type { Forwarder, ListenerSpec, ListenerState, VirtualServerSpec } from './forward/forwarder.ts'
import type { PlannedListener, ServiceLayout } from './service-layout.ts'

/** The next port to try for a listener whose port is taken; undefined: there is none. */
export type NextPort = (listener: PlannedListener, service: ServiceLayout) => number | undefined

export interface Socket {
  readonly service: ServicePortId
  readonly spec: ListenerSpec
  readonly state: ListenerState
}

export type Layouts = ReadonlyMap<ServicePortId, ServiceLayout | undefined>

interface Owned {
  readonly servers: ReadonlySet<string>
  readonly listeners: ReadonlySet<string>
}

/** How many ports are tried for one listener. */
const maxTries = 64

/** What one family has given to the forwarder, which is told only what differs. */
export class Forwarding {
  readonly #forwarder: Forwarder
  readonly #servers = new Map<string, VirtualServerSpec>()
  readonly #sockets = new Map<string, Socket>()
  readonly #owned = new Map<ServicePortId, Owned>()

  constructor(forwarder: Forwarder) {
    this.#forwarder = forwarder
  }

  socket(listener: string): Socket | undefined {
    return this.#sockets.get(listener)
  }

  /** Opens and changes; takes nothing away. Gives back the sockets that are new or different. */
  async open(layouts: Layouts, nextPort: NextPort, signal: AbortSignal): Promise<readonly Socket[]> {
    const servers = new Map<string, VirtualServerSpec>()
    let waiting: { readonly listener: PlannedListener; readonly service: ServiceLayout }[] = []
    for (const [id, service] of layouts) {
      if (service === undefined) continue
      this.#own(id, service)
      for (const server of service.servers)
        if (!isDeepStrictEqual(this.#servers.get(server.id), server)) servers.set(server.id, server)
      for (const listener of service.listeners)
        if (!isDeepStrictEqual(this.#sockets.get(listener.spec.id)?.spec, listener.spec))
          waiting.push({ listener, service })
    }
    const opened: Socket[] = []
    for (let tries = 0; waiting.length + servers.size > 0; tries++) {
      const listeners = new Map(waiting.map(({ listener: { spec } }) => [spec.id, spec]))
      const states = await this.#forwarder.apply({ servers, listeners }, signal)
      for (const [id, server] of servers) this.#servers.set(id, server)
      servers.clear()
      const byId = new Map(states.map((state) => [state.id, state]))
      const again: typeof waiting = []
      for (const { listener, service } of waiting) {
        const { spec } = listener
        const state = byId.get(spec.id) ?? { id: spec.id, port: undefined, error: undefined }
        const socket = { service: service.state.id, spec, state }
        this.#sockets.set(spec.id, socket)
        const taken = state.error?.code === 'address-in-use' && tries < maxTries
        const port = taken ? nextPort(listener, service) : undefined
        if (port === undefined) opened.push(socket)
        else again.push({ listener: { ...listener, spec: { ...spec, port } }, service })
      }
      waiting = again
    }
    return opened
  }

  /** Takes away what is no longer part of these service ports; with `others`, all other service ports as well. */
  async close(layouts: Layouts, others: boolean, signal: AbortSignal): Promise<void> {
    const { servers, listeners } = this.#unused(layouts, others)
    if (servers.size + listeners.size > 0) await this.#forwarder.apply({ servers, listeners }, signal)
    for (const id of servers.keys()) this.#servers.delete(id)
    for (const id of listeners.keys()) this.#sockets.delete(id)
    if (others) for (const id of [...this.#owned.keys()]) if (layouts.get(id) === undefined) this.#owned.delete(id)
    for (const [id, layout] of layouts) {
      if (layout === undefined) this.#owned.delete(id)
      else if (this.#owned.has(id)) this.#owned.set(id, idsOf(layout))
    }
  }

  /** The forwarder has tried a listener again. Undefined: it is none of ours. */
  heard(state: ListenerState): Socket | undefined {
    const known = this.#sockets.get(state.id)
    if (known === undefined) return undefined
    const socket = { ...known, state }
    this.#sockets.set(state.id, socket)
    return socket
  }

  #unused(
    layouts: Layouts,
    others: boolean,
  ): Readonly<Record<'servers' | 'listeners', ReadonlyMap<string, undefined>>> {
    const servers = new Map<string, undefined>()
    const listeners = new Map<string, undefined>()
    for (const [id, owned] of others ? this.#owned : this.#ownedOf(layouts.keys())) {
      const layout = layouts.get(id)
      const kept = layout === undefined ? undefined : idsOf(layout)
      for (const server of owned.servers) if (kept?.servers.has(server) !== true) servers.set(server, undefined)
      for (const listener of owned.listeners)
        if (kept?.listeners.has(listener) !== true) listeners.set(listener, undefined)
    }
    return { servers, listeners }
  }

  #own(id: ServicePortId, layout: ServiceLayout): void {
    const { servers, listeners } = idsOf(layout)
    const before = this.#owned.get(id)
    this.#owned.set(id, {
      servers: new Set([...(before?.servers ?? []), ...servers]),
      listeners: new Set([...(before?.listeners ?? []), ...listeners]),
    })
  }

  *#ownedOf(ids: Iterable<ServicePortId>): Generator<readonly [ServicePortId, Owned]> {
    for (const id of ids) {
      const owned = this.#owned.get(id)
      if (owned !== undefined) yield [id, owned]
    }
  }
}

const idsOf = ({ servers, listeners }: ServiceLayout): Owned => ({
  servers: new Set(servers.map(({ id }) => id)),
  listeners: new Set(listeners.map(({ spec }) => spec.id)),
})
