import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import type { ChangeKind } from '../cluster/changes.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'
import type { Layout } from './layouts.ts'

/** A first sync. Milliseconds; the stages add up to a little less than the total. */
export interface FirstSync {
  readonly totalMs: number
  readonly trackMs: number
  /** Listing what is there. */
  readonly saveMs: number
  readonly desiredMs: number
  readonly planMs: number
  readonly restoreMs: number
  /** Rules and members written, and rules removed. */
  readonly written: number
  /** Rules that are there now, of all tables, IPv4. */
  readonly rules: number
}

/** One change, from being handed over to `applied`. Milliseconds. */
export interface Applied {
  readonly totalMs: number
  /** Within it: the object's meaning and what to write. */
  readonly planMs: number
  /** Within it: the program that writes, from its start to its end. */
  readonly restoreMs: number
  /** What the program was given. */
  readonly input: string
}

/** What can be asked of worker.ts. `start` comes first, once. */
export type IptablesOperations = {
  /** Rejects when it takes longer than `limitMs`; then nothing else can be asked. */
  readonly start: {
    readonly request: {
      readonly spec: ClusterSpec
      readonly layout: Layout
      readonly variant: Variant
      readonly limitMs: number
    }
    readonly reply: FirstSync
  }
  readonly change: { readonly request: ChangeKind; readonly reply: Applied }
  /** A Service that was not there, with endpoints, comes; or the one that came last goes. */
  readonly service: { readonly request: 'comes' | 'goes'; readonly reply: Applied }
  /** So many changes of single endpoints at once. */
  readonly burst: { readonly request: number; readonly reply: Applied }
  /** Somebody else writes this with iptables-restore. Milliseconds from there until all is right again. */
  readonly damage: {
    readonly request: { readonly args: readonly string[]; readonly input: string }
    readonly reply: number
  }
  /** weir stops; its rules and this process stay. */
  readonly stop: { readonly request: undefined; readonly reply: null }
  /** Only the program, given this; after `stop`. Milliseconds from its start to its end. */
  readonly restore: { readonly request: string; readonly reply: number }
  /** Of this process, so far, in MiB. */
  readonly peak: { readonly request: undefined; readonly reply: number }
}
