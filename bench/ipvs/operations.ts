import type { IpvsChange } from '../../src/kernel/ipvs/ipvs.ts'
import type { ChangeKind } from '../cluster/changes.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'
import type { Sent } from './traffic.ts'

/** A first sync. Milliseconds; what the stages leave of the total is listing what is there. */
export interface FirstSync {
  readonly totalMs: number
  readonly trackMs: number
  readonly desiredMs: number
  readonly planMs: number
  readonly applyMs: number
  /** Within it, of both families: iptables-save and iptables-restore. */
  readonly iptablesMs: number
  /** Rules, members, addresses and servers that were written or removed. */
  readonly written: number
  readonly virtualServers: number
  readonly realServers: number
  readonly sent: Sent
}

/** What happens to one endpoint. */
export type IpvsChangeKind = ChangeKind | 'weight'

/** One change, from being handed over to `applied`, in milliseconds. */
export interface Applied {
  readonly totalMs: number
  /** Within it. */
  readonly planMs: number
  readonly applyMs: number
  /** Round trips. Listings among them are looks that happened to come at that moment, and are not counted. */
  readonly requests: number
  /** Further ones until nothing drains any more, looks and all. */
  readonly later: number
}

/** What is in IPVS, in the terms of our client and of ipvsadm. */
export interface Table {
  readonly changes: readonly IpvsChange[]
  readonly script: string
}

/** A program of the system, run to its end. */
export interface ToolRun {
  readonly command: readonly string[]
  readonly input?: string
}

/** What can be asked of worker.ts. `start` comes before `change`, `table` and `drainCheck`, once. */
export type IpvsOperations = {
  readonly start: { readonly request: ClusterSpec; readonly reply: FirstSync }
  readonly change: { readonly request: IpvsChangeKind; readonly reply: Applied }
  readonly table: { readonly request: undefined; readonly reply: Table }
  /** One look at the real servers of one virtual server. Milliseconds. */
  readonly look: { readonly request: undefined; readonly reply: number }
  /** Has our client carry out these changes; without `start`. Milliseconds. */
  readonly load: { readonly request: readonly IpvsChange[]; readonly reply: { ms: number; sent: Sent } }
  /** Runs programs one after the other. Milliseconds from the first one's start to the last one's end. */
  readonly tools: { readonly request: readonly ToolRun[]; readonly reply: { ms: number; stdout: string } }
  /** MiB: resident now, and at most so far. */
  readonly memory: { readonly request: undefined; readonly reply: { nowMiB: number; peakMiB: number } }
}
