/** How many entries there are, and how many of them lead to an endpoint that is gone. */
export interface Table {
  readonly entries: number
  readonly stale: number
}

export interface Reconciled {
  readonly ms: number
  readonly deleted: number
  /** Resident memory at its peak beyond what it was before. */
  readonly extraMiB: number
}

/** What can be asked of worker.ts. One process fills the table, another one reconciles. */
export type ConntrackOperations = {
  /** How many entries the kernel allows. */
  readonly limit: { readonly request: undefined; readonly reply: number }
  readonly fill: { readonly request: Table; readonly reply: null }
  /** The stale ones only, again. */
  readonly refill: { readonly request: Table; readonly reply: null }
  readonly serve: { readonly request: undefined; readonly reply: null }
  /** Comes after `serve`. */
  readonly reconcile: { readonly request: undefined; readonly reply: Reconciled }
}
