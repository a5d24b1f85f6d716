import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import type { ClusterSpec } from '../cluster/cluster.ts'
import { addNetns, deleteNetns } from '../process/netns.ts'
import { Worker } from '../process/worker.ts'
import { type LayoutName, layouts } from './layouts.ts'
import type { FirstSync, IptablesOperations } from './operations.ts'

export type IptablesWorker = Worker<IptablesOperations>

const workerModule = new URL('./worker.js', import.meta.url)

export const startWorker = (netns: string): IptablesWorker => new Worker<IptablesOperations>(workerModule, netns)

/** weir in one network namespace, and in another the same rules for the bare tool, which nobody watches. */
export interface Pair {
  readonly name: LayoutName
  readonly weir: IptablesWorker
  /** A process that has held the same cluster, so that what it starts is started from as large a heap. */
  readonly twin: IptablesWorker
  readonly cold: readonly FirstSync[]
  /** A second process over the rules that the first one left. */
  readonly restart: FirstSync
}

export interface FleetOptions {
  readonly variant: Variant
  readonly spec: ClusterSpec
  readonly limitMs: number
}

/** All that runs for one variant; whatever of it there is, `close` takes it down. */
export class Fleet {
  readonly #options: FleetOptions
  readonly #workers: IptablesWorker[] = []
  readonly #netns: string[] = []

  constructor(options: FleetOptions) {
    this.#options = options
  }

  /** Rejects when a first sync takes longer than the limit. */
  async start(name: LayoutName): Promise<Pair> {
    const [own, other] = [await this.#addNetns(), await this.#addNetns()]
    const weir = this.#worker(own)
    const cold = [await this.#first(weir, name)]
    const earlier = this.#worker(other)
    cold.push(await this.#first(earlier, name))
    await earlier.end()
    const twin = this.#worker(other)
    const restart = await this.#first(twin, name)
    await twin.ask('stop', undefined)
    return { name, weir, twin, cold, restart }
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()))
    for (const name of this.#netns) await deleteNetns(name)
  }

  #first(worker: IptablesWorker, name: LayoutName): Promise<FirstSync> {
    return worker.ask('start', { ...this.#options, layout: layouts[name] })
  }

  async #addNetns(): Promise<string> {
    const name = `${this.#options.variant}-${this.#netns.length}`
    await addNetns(name)
    this.#netns.push(name)
    return name
  }

  #worker(netns: string): IptablesWorker {
    const worker = startWorker(netns)
    this.#workers.push(worker)
    return worker
  }
}
