import type { NftClient } from '../../kernel/nft/client.ts'
import type { WriteGuard } from '../../kernel/nft/write-guard.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import type { ServicePortId } from '../../model/names.ts'
import { schedulers } from '../../model/scheduling.ts'
import type { Backend, Capabilities, Change, FlowTargets, Observed, Support } from '../backend.ts'
import type { Forwarder, ListenerState } from './forward/forwarder.ts'
import { Forwarding, type Socket } from './forwarding.ts'
import { LoopbackPorts, nodePortSlots } from './listen/loopback-ports.ts'
import { type Belief, type LayOutListeners, listening, planChange, redirecting, type UserspacePlan } from './plan.ts'
import { elementId, type RedirectElement } from './redirect/elements.ts'
import { RedirectTable } from './redirect/redirect-table.ts'
import { RedirectWriter } from './redirect/redirect-writer.ts'
import type { PlannedListener, ServiceLayout } from './service-layout.ts'
import type { Reach } from './settings.ts'
import { renderUserspace } from './text.ts'

export const userspaceCapabilities: Capabilities = {
  schedulers: new Set(schedulers),
  affinity: true,
  sourceRanges: true,
  sctp: false,
  localhostNodePorts: true,
  connectionOptions: true,
}

/** {@link Reach}, and what it takes. */
export type ReachMeans =
  | (Extract<Reach, { kind: 'redirect' }> & {
      readonly client: NftClient
      readonly guard: WriteGuard
    })
  | Extract<Reach, { kind: 'listen' }>

/** A service port with what it has in this process. */
export interface ServedPort {
  readonly state: ServiceState
  /** Ids of its virtual servers in the forwarder. */
  readonly servers: readonly string[]
  readonly sockets: readonly Socket[]
}

export interface UserspaceOptions {
  readonly family: Family
  /** Shared by both families: ids tell them apart. */
  readonly forwarder: Forwarder
  readonly reach: ReachMeans
  /** A socket of a service port was opened, could not be opened, or was opened at last. */
  readonly onSocket?: (state: ServiceState, socket: Socket) => void
  /** What was refused for want of a socket can be served now, or the other way round: the rules need writing again. */
  readonly resync?: () => void
}

/** Services of one family as sockets of this process. See ARCHITECTURE.md. */
export class UserspaceBackend implements Backend<UserspacePlan> {
  readonly name = 'userspace'
  readonly capabilities = userspaceCapabilities
  readonly family: Family
  readonly #reach: ReachMeans
  readonly #forwarding: Forwarding
  readonly #redirect: { readonly table: RedirectTable; readonly writer: RedirectWriter } | undefined
  readonly #ports: LoopbackPorts | undefined
  readonly #layOut: LayOutListeners
  readonly #onSocket: NonNullable<UserspaceOptions['onSocket']>
  readonly #resync: () => void
  readonly #services = new Map<ServicePortId, ServiceLayout>()
  #host: HostState | undefined
  /** Ports that the table of an earlier process led to, by element. */
  #earlier: ReadonlyMap<string, number> = new Map()
  /** Which listener has which of them. */
  readonly #claims = new Map<string, string>()

  constructor({ family, forwarder, reach, onSocket = () => {}, resync = () => {} }: UserspaceOptions) {
    this.family = family
    this.#reach = reach
    this.#forwarding = new Forwarding(forwarder)
    this.#onSocket = onSocket
    this.#resync = resync
    if (reach.kind === 'redirect') {
      const table = new RedirectTable(family, reach.client, reach.guard)
      this.#redirect = { table, writer: new RedirectWriter(table) }
      this.#layOut = redirecting((listener, elements) => {
        const known = this.#forwarding.socket(listener)
        return known === undefined ? this.#earlierPort(listener, elements) : known.spec.port
      })
    } else {
      this.#ports = new LoopbackPorts(reach.portRange)
      this.#layOut = listening(this.#ports, () => this.#states())
    }
    forwarder.onListener((state) => this.#heard(state))
  }

  probe(): Promise<Support> {
    return Promise.resolve({ kind: 'supported' })
  }

  async observe(signal: AbortSignal): Promise<Observed> {
    if (this.#redirect === undefined) return { counts: new Map() }
    const { ports, counts } = await this.#redirect.table.observe(signal)
    this.#earlier = ports
    return { counts }
  }

  plan(change: Change): UserspacePlan {
    return planChange(change, this.#belief(), this.#layOut)
  }

  /** Sockets are there before rules lead to them, and rules are gone before their sockets are. */
  async apply(plan: UserspacePlan, signal: AbortSignal): Promise<void> {
    const { services, replace, host } = plan
    // What one service port gives up, another may be waiting for.
    if (this.#redirect === undefined) await this.#close(plan, signal)
    const opened = await this.#open(plan, signal)
    for (const socket of opened) this.#tell(services.get(socket.service), socket)
    if (this.#redirect !== undefined) {
      const { writer } = this.#redirect
      const socketOf = (listener: string): string | undefined => this.#socketText(listener)
      if (replace) await writer.replace(host, services, socketOf, signal)
      else await writer.change(services, socketOf, signal)
    }
    if (replace) this.#services.clear()
    for (const [id, layout] of services) {
      if (layout === undefined) this.#services.delete(id)
      else this.#services.set(id, layout)
    }
    this.#host = host
    if (this.#redirect !== undefined) await this.#close(plan, signal)
  }

  /**
   * Its sockets that listen and have endpoints behind them. Where there are no rules, conntrack sees what it sees of any
   * socket's clients.
   */
  flowTargets({ id }: ServiceState): FlowTargets {
    if (this.#redirect === undefined) return { kind: 'unknown' }
    const { servers = [], listeners = [] } = this.#services.get(id) ?? {}
    const serving = new Set(servers.filter(({ targets }) => targets.length > 0).map((server) => server.id))
    const sockets = listeners.flatMap(({ spec }) => {
      const { address, port } = { ...spec, port: this.#forwarding.socket(spec.id)?.state.port }
      return port === undefined || !serving.has(spec.server) ? [] : [{ address, port }]
    })
    return { kind: 'sockets', sockets }
  }

  counts(): ReadonlyMap<string, number> {
    const sockets = [...this.#services.values()].reduce((sum, { listeners }) => sum + listeners.length, 0)
    return new Map([...(this.#redirect?.writer.counts() ?? []), ['sockets', sockets]])
  }

  tidy(): Promise<number> {
    return Promise.resolve(0)
  }

  untouched(signal: AbortSignal): Promise<boolean> {
    return Promise.resolve(this.#redirect?.table.untouched(signal) ?? true)
  }

  render(host: HostState, services: Iterable<ServiceState>): string {
    return renderUserspace(host, [...services], this.#reach)
  }

  /** The table; the sockets are the forwarder's to close. */
  async cleanup(signal: AbortSignal): Promise<void> {
    await this.#redirect?.table.remove(signal)
  }

  /** As last applied. */
  *served(): Generator<ServedPort> {
    for (const { state, servers, listeners } of this.#services.values())
      yield {
        state,
        servers: servers.map(({ id }) => id),
        sockets: listeners.flatMap(({ spec }) => this.#forwarding.socket(spec.id) ?? []),
      }
  }

  /**
   * The port that an earlier process had for the same address, so that UDP flows which conntrack knows go on. An address
   * may have changed hands meanwhile: no two listeners get the same one. Once this process serves, its own ports count.
   */
  #earlierPort(listener: string, elements: readonly RedirectElement[]): number {
    if (this.#host !== undefined) return 0
    for (const element of elements) {
      const { value, key } = element
      const port = this.#earlier.get(elementId(element))
      if (port === undefined || value?.kind !== 'listener' || value.id !== listener) continue
      const claim = `${key.includes('udp') ? 'udp' : 'tcp'} ${port}`
      if ((this.#claims.get(claim) ?? listener) !== listener) continue
      this.#claims.set(claim, listener)
      return port
    }
    return 0
  }

  #belief(): Belief | undefined {
    return this.#host === undefined ? undefined : { host: this.#host, services: this.#services }
  }

  *#states(): Generator<ServiceState> {
    for (const { state } of this.#services.values()) yield state
  }

  async #open({ services }: UserspacePlan, signal: AbortSignal): Promise<readonly Socket[]> {
    for (const layout of services.values())
      for (const { spec, otherPort } of layout?.listeners ?? [])
        if (layout !== undefined && otherPort === 'next') this.#ports?.take(layout.state, spec.port)
    return this.#forwarding.open(services, (listener, { state }) => this.#nextPort(listener, state), signal)
  }

  #nextPort({ spec, otherPort }: PlannedListener, state: ServiceState): number | undefined {
    switch (otherPort) {
      case 'any':
        return spec.port === 0 ? undefined : 0
      case 'next': {
        const next = this.#ports?.next(state, spec.port, nodePortSlots(this.#states()))
        if (next !== undefined) this.#ports?.take(state, next)
        return next
      }
      case 'none':
        return undefined
      default:
        return otherPort satisfies never
    }
  }

  async #close({ services, replace }: UserspacePlan, signal: AbortSignal): Promise<void> {
    await this.#forwarding.close(services, replace, signal)
    if (this.#ports === undefined) return
    for (const id of replace ? this.#services.keys() : services.keys()) {
      const layout = this.#services.get(id)
      if (layout !== undefined && services.get(id) === undefined) this.#ports.release(layout.state)
    }
  }

  #socketText(listener: string): string | undefined {
    const socket = this.#forwarding.socket(listener)
    return socket?.state.port === undefined ? undefined : `${socket.spec.address} . ${socket.state.port}`
  }

  #heard(state: ListenerState): void {
    const before = this.#forwarding.socket(state.id)
    const socket = this.#forwarding.heard(state)
    if (socket === undefined) return
    this.#tell(this.#services.get(socket.service), socket)
    if (this.#redirect !== undefined && before?.state.port !== state.port) this.#resync()
  }

  #tell(layout: ServiceLayout | undefined, socket: Socket): void {
    if (layout !== undefined) this.#onSocket(layout.state, socket)
  }
}
