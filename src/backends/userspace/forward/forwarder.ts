import type { Target } from '../../../model/desired.ts'
import type { IP } from '../../../model/ip.ts'
import type { Scheduling } from '../../../model/scheduling.ts'
import type { ForwardError } from './forward-error.ts'

/** What the engine carries. SCTP has no sockets in Node. */
export type ForwardProtocol = 'TCP' | 'UDP'

/** Where connections go: a list of real servers under one scheduler. Plain data, so that it can be sent to a thread. */
export interface VirtualServerSpec {
  /** Any text, unique and lasting: counters, affinity and connections belong to it across changes. */
  readonly id: string
  readonly protocol: ForwardProtocol
  /** None: every connection is reset, every datagram dropped. Better take the listeners away too. */
  readonly targets: readonly Target[]
  readonly scheduling: Scheduling
  /** ClientIP affinity; the time counts from a client's last new connection or session. */
  readonly affinitySeconds: number | undefined
  /** Each TCP connection to an endpoint begins with a PROXY protocol v2 header. Ignored for UDP. */
  readonly proxyProtocol: boolean
  /** Connections (or UDP sessions) at a time, over all threads. One more is reset (dropped) and counted as limited. */
  readonly maxConnections: number | undefined
}

/** An address and port that clients ask for. */
export interface Frontend {
  readonly ip: IP
  readonly port: number
}

/** A socket that takes traffic for one virtual server. It is opened again when protocol, address or port change. */
export interface ListenerSpec {
  readonly id: string
  readonly protocol: ForwardProtocol
  /**
   * `0.0.0.0` and `::` take every address of their family, `::` no IPv4. UDP answers leave from this address; from a
   * wildcard they leave from whatever address the kernel picks for the client. Traffic that was translated on its way here
   * therefore needs a real address, or conntrack does not recognise the answers.
   */
  readonly address: IP
  /** 0: any, see {@link ListenerState.port}. */
  readonly port: number
  /** Id of the virtual server. */
  readonly server: string
  /** Clients of these addresses go to another virtual server, as externalTrafficPolicy Local has it for the node itself. */
  readonly near: { readonly clients: readonly IP[]; readonly server: string } | undefined
  /**
   * What clients asked for when it is not the socket's own address: the destination that schedulers see, and that PROXY
   * protocol tells unless `redirected`. undefined: where the connection arrived.
   */
  readonly frontend: Frontend | undefined
  /** Connections get here by a `redirect` or `dnat` rule: PROXY protocol tells what SO_ORIGINAL_DST says (TCP). */
  readonly redirected: boolean
}

/** `error` is set: not listening; the engine tries again every `retryMs`. */
export interface ListenerState {
  readonly id: string
  /** The port it listens on. undefined: it does not. */
  readonly port: number | undefined
  readonly error: ForwardError | undefined
}

/** By id: what is new or different; undefined takes it away. */
export interface ForwarderChange {
  readonly servers: ReadonlyMap<string, VirtualServerSpec | undefined>
  readonly listeners: ReadonlyMap<string, ListenerSpec | undefined>
}

/** Of one virtual server or one endpoint of it, since it is known. */
export interface Traffic {
  /** TCP connections open both ways. */
  readonly active: number
  /** Half-closed TCP connections and UDP sessions, as LVS counts. */
  readonly inactive: number
  /** Connections and sessions that were forwarded. Of an endpoint: those it took. */
  readonly total: number
  /** From clients to endpoints, without PROXY headers. */
  readonly bytesIn: number
  /** From endpoints to clients. */
  readonly bytesOut: number
  /** Of an endpoint: attempts that it refused or left unanswered. Of a server: connections for which nobody was found. */
  readonly failed: number
}

export interface EndpointStats extends Traffic {
  readonly ip: IP
  readonly port: number
  readonly weight: number
  /** No longer among the targets; existing connections go on. */
  readonly draining: boolean
  /** Milliseconds until it is tried again; undefined unless it is ejected. */
  readonly ejectedMs: number | undefined
}

export interface ServerStats extends Traffic {
  readonly id: string
  readonly protocol: ForwardProtocol
  /** Turned away because `maxConnections` of the server or of the process was reached, or there were too many sessions. */
  readonly limited: number
  /** In the order of the targets; draining ones last. */
  readonly endpoints: readonly EndpointStats[]
}

export interface ForwarderStats {
  readonly servers: readonly ServerStats[]
  /** As {@link Forwarder.onListener} told last. */
  readonly listeners: readonly ListenerState[]
  /** TCP connections and UDP sessions of the process. */
  readonly connections: number
  readonly udpSessions: number
  /** Threads that do not accept at the moment, because descriptors have run out. */
  readonly pausedThreads: number
  /** How often that began. */
  readonly pauses: number
  /** Descriptors that connections, sessions and listeners may use together. */
  readonly maxDescriptors: number
  readonly threads: number
}

/** What is worth a line in the log or an alarm. */
export type ForwarderEvent =
  | { readonly kind: 'accept-paused' }
  | { readonly kind: 'accept-resumed'; readonly afterMs: number }
  | {
      readonly kind: 'ejected'
      readonly server: string
      readonly ip: IP
      readonly port: number
      readonly forMs: number
    }
  | { readonly kind: 'recovered'; readonly server: string; readonly ip: IP; readonly port: number }
  /** A thread has died. Its connections are gone; the process should end, so that it is started again. */
  | { readonly kind: 'thread-failed'; readonly error: ForwardError }

export interface Forwarder {
  /**
   * Servers first, then listeners; resolves when the new state holds in every thread. What one listener meets is in its
   * state, and the others work. Gives the states of the listeners in the change.
   *
   * @throws ForwardError `closed`, `thread`; the signal's reason when it has aborted before anything was done
   */
  apply(change: ForwarderChange, signal: AbortSignal): Promise<readonly ListenerState[]>
  stats(): ForwarderStats
  /** Told when a listener that could not be opened has been, or the reason changes. Not for what `apply` itself returns. */
  onListener(report: (state: ListenerState) => void): void
  onEvent(report: (event: ForwarderEvent) => void): void
  /** Stops accepting at once; waits for connections up to `drainMs`, then resets what is left. UDP sessions end with them. */
  close(drainMs: number): Promise<void>
}

/** Times are in milliseconds; 0 switches a timeout off. */
export interface ForwarderOptions {
  /** 1: in this thread. More: that many worker threads, each with a socket of its own for every listener. */
  readonly threads: number
  readonly connectTimeoutMs: number
  /** Endpoints tried for one connection. */
  readonly attempts: number
  /** No byte either way for so long ends a connection, half-closed or not. Kept to within an eighth. */
  readonly tcpIdleMs: number
  /** No datagram either way for so long ends a session. Kept to within an eighth. */
  readonly udpSessionMs: number
  /** UDP sessions of one listener and thread; beyond it the oldest one that was never answered makes room. */
  readonly maxUdpSessions: number
  /** Connections and sessions of the process; one more is turned away. */
  readonly maxConnections: number | undefined
  /** Failures in a row that eject an endpoint. */
  readonly ejectAfter: number
  /** The first ejection; each one that follows without a success in between takes twice as long. */
  readonly ejectMs: number
  readonly maxEjectMs: number
  /** How long connections of an endpoint that is no longer a target may go on; 0: until they end by themselves. */
  readonly drainMs: number
  /** Clients remembered per virtual server and thread; the one unseen for longest goes first. */
  readonly maxAffinity: number
  /** How often a listener that failed is tried again. */
  readonly retryMs: number
}

export const defaultForwarderOptions: ForwarderOptions = {
  threads: 1,
  connectTimeoutMs: 2000,
  attempts: 3,
  tcpIdleMs: 3_600_000,
  udpSessionMs: 60_000,
  maxUdpSessions: 10_000,
  maxConnections: undefined,
  ejectAfter: 3,
  ejectMs: 10_000,
  maxEjectMs: 300_000,
  drainMs: 0,
  maxAffinity: 65_536,
  retryMs: 3000,
}
