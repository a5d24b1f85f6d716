import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { Backend } from '../../src/backends/backend.ts'
import { composeProxy, type NodeProxy } from '../../src/cli/compose.ts'
import { createObservation } from '../../src/cli/observers.ts'
import type { OnDrift } from '../../src/cli/open-kernel.ts'
import { parseCommandLine } from '../../src/config/command-line.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ModelChange } from '../../src/model/change.ts'
import { parseIP } from '../../src/model/ip.ts'
import { systemClock } from '../../src/sync/clock.ts'
import type { StageDurations, SyncEvents } from '../../src/sync/events.ts'
import { ownNodeIP } from '../cluster/addresses.ts'

/** One sync of both families, added up. Milliseconds, from the change's arrival to the last acknowledgement. */
export interface SyncTimes {
  readonly totalMs: number
  readonly stages: StageDurations
  readonly added: number
  readonly removed: number
}

/** The part of the kernel that a node programs. */
export interface BenchKernel {
  readonly backends: readonly Backend[]
  close(): void
}

/** Nobody's write goes unnoticed for longer. */
const settleMs = 500
const repairLimitMs = 1_200_000

const noStages: StageDurations = { desiredMs: 0, planMs: 0, applyMs: 0 }

/**
 * weir's own parts between a source and the kernel, wired as `weir run` wires them: both families, the watch for
 * foreign writes, and all observers. Only the source is missing, for which the caller stands in.
 */
export class BenchNode {
  readonly proxy: NodeProxy
  readonly #kernel: BenchKernel
  readonly #stop = new AbortController()
  #syncing = false
  #appliedAt = 0
  #stages = noStages
  #added = 0
  #removed = 0
  #idle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined
  #running = 0
  #repairedAt = 0
  #ended: Promise<void> | undefined

  /** `flags`: of `weir run`. */
  static async create(
    flags: readonly string[],
    open: (config: Config, onDrift: OnDrift) => Promise<BenchKernel>,
  ): Promise<BenchNode> {
    const { config } = loadConfig(parseCommandLine(['run', ...flags]), undefined)
    const late: { node?: BenchNode } = {}
    const kernel = await open(config, (family, reason) => late.node?.proxy.distrust(family, reason))
    late.node = new BenchNode(config, kernel)
    return late.node
  }

  private constructor(config: Config, kernel: BenchKernel) {
    this.#kernel = kernel
    const { backends } = kernel
    const observation = createObservation(config, systemClock, pino({ level: 'silent' }))
    const last = backends.at(-1)?.family
    observation.add({
      started: () => {
        this.#syncing = true
        this.#running++
      },
      applied: (event) => {
        this.#running--
        this.#add(event)
        if (event.family === last) this.#applied()
      },
      failed: ({ message }) => {
        this.#running--
        this.#idle?.reject(new Error(message))
      },
      driftRepaired: () => {
        this.#repairedAt = performance.now()
      },
    })
    const { observer } = observation
    this.proxy = composeProxy({ config, backends, observer, clock: systemClock, firstWritten: () => {} })
    const address = parseIP(ownNodeIP)
    if (address !== undefined) this.proxy.setAddresses([address])
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

  /** Milliseconds from the end of `damage`, somebody else's write, to the end of the last sync that repairs it. */
  async repaired(damage: () => Promise<void>): Promise<number> {
    this.#repairedAt = 0
    await damage()
    const end = performance.now()
    // What was repaired while the damage was still under way may have been damaged again.
    while (this.#repairedAt < end || this.#running > 0 || performance.now() - this.#repairedAt < settleMs) {
      if (performance.now() - end > repairLimitMs) throw new Error('the damage has not been repaired')
      await sleep(20)
    }
    return this.#repairedAt - end
  }

  get backends(): readonly Backend[] {
    return this.#kernel.backends
  }

  /** Gives up whatever is under way: who waits for it gets this error. */
  abort(error: Error): void {
    this.#idle?.reject(error)
    this.#stop.abort(error)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    this.#kernel.close()
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
