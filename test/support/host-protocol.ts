import type { Protocol } from '../../src/model/protocol.ts'

/** A listener that answers every connection or datagram with a {@link Greeting}. Listens on all addresses. */
export interface Listen {
  readonly protocol: Protocol
  readonly port: number
}

/** Connections (TCP: one HTTP request each; UDP: one datagram; SCTP: one INIT) to one address. */
export interface Ask {
  readonly protocol: Protocol
  readonly address: string
  readonly port: number
  readonly count: number
  /** At most this many at once; 1 where the order matters. */
  readonly parallel: number
  /** Per connection, from its start to the whole answer. */
  readonly timeoutMs: number
  readonly sourceAddress?: string
  /** Sensible with count 1, or UDP and parallel 1. */
  readonly sourcePort?: number
}

/** A TCP connection that stays open until it is released. */
export type Hold = Omit<Ask, 'protocol' | 'count' | 'parallel'>

/** What a server says: who it is, and whom it saw. */
export interface Greeting {
  readonly name: string
  readonly peer: string
  readonly peerPort: number
}

/** How one connection ended. `refused` is a TCP reset or an ICMP port-unreachable; `failed` carries the errno's name. */
export type Outcome =
  | ({ readonly kind: 'answered' } & Greeting)
  | { readonly kind: 'refused' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'failed'; readonly code: string }

export interface Held {
  /** Names the connection in later requests; meaningless unless the outcome is `answered`. */
  readonly connection: number
  readonly outcome: Outcome
}

/** What a host's process can be told, and what each request gives back. */
export interface Operations {
  readonly listen: { readonly request: Listen; readonly reply: null }
  readonly unlisten: { readonly request: Listen; readonly reply: null }
  readonly ask: { readonly request: Ask; readonly reply: readonly Outcome[] }
  readonly hold: { readonly request: Hold; readonly reply: Held }
  readonly again: { readonly request: { readonly connection: number }; readonly reply: Outcome }
  /** `reset`: at once, so that nobody waits for late packets of it. */
  readonly release: { readonly request: { readonly connection: number; readonly reset: boolean }; readonly reply: null }
}
export type Operation = keyof Operations

export type Request = {
  [Op in Operation]: { readonly id: number; readonly op: Op; readonly body: Operations[Op]['request'] }
}[Operation]

export type Reply =
  | { readonly id: number; readonly kind: 'done'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'error'; readonly message: string }

/** One JSON document a line in both directions; both ends are ours, so the type is taken on trust. */
export const encodeLine = (message: Request | Reply | Greeting): string => `${JSON.stringify(message)}\n`
export const decodeRequest = (line: string): Request => JSON.parse(line) as Request
export const decodeReply = (line: string): Reply => JSON.parse(line) as Reply
export const decodeGreeting = (text: string): Greeting => JSON.parse(text) as Greeting
/** The value that `op` is declared to give back. */
export const replyValue = <Op extends Operation>(_op: Op, value: unknown): Operations[Op]['reply'] =>
  value as Operations[Op]['reply']
