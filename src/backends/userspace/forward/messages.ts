import type { CounterBlock, SlotRef } from './counters.ts'
import type { ForwarderEvent, ForwarderOptions, ListenerSpec, VirtualServerSpec } from './forwarder.ts'

/** What one thread starts with. Plain data. */
export interface EngineSetup {
  /** 0 to `options.threads - 1`. */
  readonly thread: number
  readonly options: ForwarderOptions
  readonly maxDescriptors: number
  readonly process: SharedArrayBuffer
}

export interface ServerSetup {
  readonly spec: VirtualServerSpec
  readonly slot: SlotRef
  /** Of each target, in their order. */
  readonly slots: readonly SlotRef[]
}

export interface ListenerSetup {
  readonly spec: ListenerSpec
  /** The thread's own socket; it closes it. */
  readonly descriptor: number
}

/** Servers first, then listeners: those that close, those that keep their socket, those that open. */
export interface EngineChange {
  /** New blocks, which follow those known. */
  readonly blocks: readonly CounterBlock[]
  readonly servers: readonly (readonly [id: string, setup: ServerSetup | undefined])[]
  readonly closed: readonly string[]
  readonly changed: readonly ListenerSpec[]
  readonly opened: readonly ListenerSetup[]
}

/** To a thread. Each but `setup` is answered with `done` of its number. */
export type ToThread =
  | { readonly kind: 'apply'; readonly number: number; readonly change: EngineChange }
  | { readonly kind: 'close'; readonly number: number; readonly drainMs: number }

export type FromThread =
  | { readonly kind: 'done'; readonly number: number }
  | { readonly kind: 'event'; readonly event: ForwarderEvent }

export const noChange: EngineChange = { blocks: [], servers: [], closed: [], changed: [], opened: [] }
