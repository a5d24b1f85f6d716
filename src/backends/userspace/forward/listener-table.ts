import { type ListeningSockets, openListening } from '../../../kernel/inet/inet-socket.ts'
import { SocketError } from '../../../kernel/inet/socket-error.ts'
import { ForwardError, type ForwardErrorCode } from './forward-error.ts'
import type { ListenerSpec, ListenerState, VirtualServerSpec } from './forwarder.ts'
import { backlog } from './tcp-listener.ts'

interface Entry {
  spec: ListenerSpec
  state: ListenerState
  /** Its sockets send a client's connections always to the same thread. */
  byClient: boolean
}

/** A listener that has sockets now, one per thread. */
export interface Opened {
  readonly spec: ListenerSpec
  readonly descriptors: readonly number[]
}

const codes: Readonly<Record<string, ForwardErrorCode>> = {
  EADDRINUSE: 'address-in-use',
  EACCES: 'no-permission',
  EPERM: 'no-permission',
  EADDRNOTAVAIL: 'no-such-address',
  EAFNOSUPPORT: 'no-such-address',
  EMFILE: 'no-descriptors',
  ENFILE: 'no-descriptors',
}

/** Which listeners there should be and which have sockets. Opens sockets; who gets them closes them. */
export class ListenerTable {
  readonly #threads: number
  readonly #entries = new Map<string, Entry>()

  constructor(threads: number) {
    this.#threads = threads
  }

  get states(): readonly ListenerState[] {
    return [...this.#entries.values()].map(({ state }) => state)
  }

  state(id: string): ListenerState | undefined {
    return this.#entries.get(id)?.state
  }

  /** True when a listener with sockets of this id has to be closed. */
  remove(id: string): boolean {
    const entry = this.#entries.get(id)
    this.#entries.delete(id)
    return entry?.state.port !== undefined
  }

  /**
   * Notes what should be, and opens nothing yet: first, what must go has to be closed. With several threads a server with
   * affinity needs sockets that spread by client. Says what becomes of sockets that are there.
   */
  put(spec: ListenerSpec, servers: (id: string) => VirtualServerSpec | undefined): 'none' | 'close' | 'keep' {
    const byClient = this.#threads > 1 && rememberClients(spec, servers)
    const known = this.#entries.get(spec.id)
    if (known?.state.port !== undefined && byClient === known.byClient && sameSocket(spec, known.spec)) {
      known.spec = spec
      return 'keep'
    }
    const state = { id: spec.id, port: undefined, error: undefined }
    this.#entries.set(spec.id, { spec, state, byClient })
    return known?.state.port === undefined ? 'none' : 'close'
  }

  /** Those whose servers changed in a way that their sockets do not suit. */
  unsuited(servers: (id: string) => VirtualServerSpec | undefined): readonly ListenerSpec[] {
    if (this.#threads === 1) return []
    return [...this.#entries.values()]
      .filter(({ spec, byClient, state }) => state.port !== undefined && byClient !== rememberClients(spec, servers))
      .map(({ spec }) => spec)
  }

  /** Tries to open what has no sockets; `changed`: those of whom something new is to be said. */
  open(): { readonly opened: readonly Opened[]; readonly changed: readonly ListenerState[] } {
    const opened: Opened[] = []
    const changed: ListenerState[] = []
    for (const entry of this.#entries.values()) {
      if (entry.state.port !== undefined) continue
      const before = entry.state.error
      const result = this.#openOne(entry)
      if (result instanceof ForwardError) {
        entry.state = { id: entry.spec.id, port: undefined, error: result }
        if (before?.message !== result.message) changed.push(entry.state)
      } else {
        entry.state = { id: entry.spec.id, port: result.port, error: undefined }
        opened.push({ spec: entry.spec, descriptors: result.descriptors })
        changed.push(entry.state)
      }
    }
    return { opened, changed }
  }

  get waiting(): boolean {
    return [...this.#entries.values()].some(({ state }) => state.port === undefined)
  }

  #openOne({ spec: { protocol, address, port }, byClient }: Entry): ListeningSockets | ForwardError {
    try {
      return openListening({ protocol, address, port, sockets: this.#threads, byClient, backlog })
    } catch (error) {
      if (!(error instanceof SocketError)) throw error
      const op = `listen on ${address} port ${port} ${protocol.toLowerCase()}`
      return new ForwardError(codes[error.code] ?? 'system', op, error.message, { cause: error })
    }
  }
}

const rememberClients = (
  { server, near }: ListenerSpec,
  servers: (id: string) => VirtualServerSpec | undefined,
): boolean => [server, near?.server].some((id) => id !== undefined && servers(id)?.affinitySeconds !== undefined)

const sameSocket = (one: ListenerSpec, other: ListenerSpec): boolean =>
  one.protocol === other.protocol && one.address === other.address && one.port === other.port
