import { pino } from 'pino'
import { NftablesBackend } from '../../src/backends/nftables/backend.ts'
import { composeProxy, type NodeProxy } from '../../src/cli/compose.ts'
import { createObservation } from '../../src/cli/observers.ts'
import { parseCommandLine } from '../../src/config/command-line.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { openNftMonitor } from '../../src/kernel/nft/monitor.ts'
import { OwnWriters } from '../../src/kernel/nft/own-writers.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { families, parseIP } from '../../src/model/ip.ts'
import { systemClock } from '../../src/sync/clock.ts'
import type { StageDurations, SyncEvents } from '../../src/sync/events.ts'
import { ownNodeIP } from '../cluster/addresses.ts'
import { nodeFlags } from './flags.ts'
import { TimedClient } from './timed-client.ts'

/** One sync of both families, added up. Milliseconds, from the change's arrival to the last acknowledgement. */
export interface SyncTimes {
  readonly totalMs: number
  readonly stages: StageDurations
  readonly added: number
  readonly removed: number
}

const noStages: StageDurations = { desiredMs: 0, planMs: 0, applyMs: 0 }

/**
 * weir's own parts between a source and the kernel, wired as `weir run` wires them: both families, the monitor for
 * foreign writes, and all observers. Only the source is missing, for which the caller stands in.
 */
export class BenchNode {
  readonly proxy: NodeProxy
  readonly client: TimedClient
  readonly #stop = new AbortController()
  readonly #close: () => void
  #syncing = false
  #appliedAt = 0
  #stages = noStages
  #added = 0
  #removed = 0
  #idle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined
  #ended: Promise<void> | undefined

  constructor({ keepBatches }: { readonly keepBatches: boolean }) {
    const { config } = loadConfig(parseCommandLine(['run', ...nodeFlags]), undefined)
    const logger = pino({ level: 'silent' })
    const observation = createObservation(config, systemClock, logger)
    const writers = new OwnWriters()
    this.client = new TimedClient(openNftClient({ writers }), keepBatches)
    const report = (): void => {
      for (const family of families) this.proxy.distrust(family, 'periodic')
    }
    const monitor = openNftMonitor({ writers, report })
    const guard = new WriteGuard(this.client, monitor)
    const backends = families.map((family) => new NftablesBackend(family, this.client, guard))
    const last = backends.at(-1)?.family
    observation.add({
      started: () => {
        this.#syncing = true
      },
      applied: (event) => {
        this.#add(event)
        if (event.family === last) this.#applied()
      },
      failed: ({ message }) => this.#idle?.reject(new Error(message)),
    })
    const { observer } = observation
    this.proxy = composeProxy({ config, backends, observer, clock: systemClock, firstWritten: () => {} })
    const address = parseIP(ownNodeIP)
    if (address !== undefined) this.proxy.setAddresses([address])
    this.#close = () => {
      monitor.close()
      this.client.close()
    }
  }

  /** The first sync: everything is handed over at once, and the loop starts. `trackMs` is part of the total. */
  async start(objects: readonly ModelChange[]): Promise<SyncTimes & { readonly trackMs: number }> {
    const { sink, loop } = this.proxy
    let trackMs = 0
    const times = await this.timed(() => {
      const start = performance.now()
      sink.changes(objects)
      trackMs = performance.now() - start
      sink.synced()
      this.#ended = loop.run(this.#stop.signal, this.#stop.signal)
    })
    return { ...times, trackMs }
  }

  /** From here, through what `hand` hands over, to the acknowledgement of the last commit that carries any of it. */
  async timed(hand: () => void | Promise<void>): Promise<SyncTimes> {
    this.#stages = noStages
    this.#added = 0
    this.#removed = 0
    const start = performance.now()
    const handing = hand()
    if (handing !== undefined) await handing
    if (this.#busy()) {
      await new Promise<void>((resolve, reject) => {
        this.#idle = { resolve, reject }
      })
    }
    return { totalMs: this.#appliedAt - start, stages: this.#stages, added: this.#added, removed: this.#removed }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    this.#close()
  }

  #busy(): boolean {
    const { tracker } = this.proxy
    return this.#syncing || tracker.endpointChangesPending + tracker.serviceChangesPending > 0
  }

  #add({ stages, added, removed }: SyncEvents['applied']): void {
    const { desiredMs, planMs, applyMs } = this.#stages
    this.#stages = {
      desiredMs: desiredMs + stages.desiredMs,
      planMs: planMs + stages.planMs,
      applyMs: applyMs + stages.applyMs,
    }
    this.#added += added
    this.#removed += removed
  }

  #applied(): void {
    this.#syncing = false
    this.#appliedAt = performance.now()
    if (!this.#busy()) this.#idle?.resolve()
  }
}
