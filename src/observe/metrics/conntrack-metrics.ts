import { Counter, Gauge, type Registry } from 'prom-client'

/** The kernel's connection tracking, of all processors together. */
export interface TrackedFlows {
  readonly entries: number
  readonly limit: number | undefined
  /** By the kernel's own words; one that this kernel does not count is missing. */
  readonly counters: ReadonlyMap<string, number>
}

/** What tells of trouble. Each is a series of its own, because alerts are about one or the other. */
const troubles = {
  insert_failed: 'Entries that clashed with another one when they were to be added; their packets were dropped',
  drop: 'Packets dropped because no entry could be added for them: the table is full, or there is no memory',
  early_drop: 'Entries that had to make way for others because the table is full',
  error: 'Packets that could not be tracked because something was wrong with them',
  invalid: 'Packets that fit no connection',
  search_restart: 'Lookups that began anew because the table was resized or an entry moved',
  clash_resolve: 'Entries that clashed with another one and were merged with it',
  chain_toolong: 'Entries not added because their hash bucket is too long',
} as const satisfies Readonly<Record<string, string>>

/** Two scrapes' series are read at once: one answer of the kernel is good for so many milliseconds. */
const freshMs = 100

/** Read at each scrape. A scrape at which something cannot be read shows no sample of it. */
export const conntrackMetrics = (registry: Registry, read: () => Promise<TrackedFlows>): void => {
  const registers = [registry]
  let last: { readonly at: number; readonly found: Promise<TrackedFlows | undefined> } | undefined
  const found = (): Promise<TrackedFlows | undefined> => {
    const at = performance.now()
    if (last === undefined || at - last.at > freshMs) last = { at, found: read().catch(() => undefined) }
    return last.found
  }
  const gauge = (name: string, help: string, value: (flows: TrackedFlows) => number | undefined): void => {
    new Gauge({
      name: `weir_conntrack_${name}`,
      help,
      registers,
      async collect() {
        const flows = await found()
        const now = flows && value(flows)
        this.remove()
        if (now !== undefined) this.set(now)
      },
    })
  }
  gauge('entries', 'Entries of the conntrack table', ({ entries }) => entries)
  gauge('entries_limit', 'Entries that the conntrack table may have (nf_conntrack_max)', ({ limit }) => limit)
  for (const [name, help] of Object.entries(troubles)) {
    new Counter({
      name: `weir_conntrack_${name}_total`,
      help,
      registers,
      async collect() {
        const now = (await found())?.counters.get(name)
        this.remove()
        if (now !== undefined) this.inc(now)
      },
    })
  }
}
