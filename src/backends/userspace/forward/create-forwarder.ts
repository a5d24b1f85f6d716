import { closeSync } from 'node:fs'
import { keepFreedMemory } from '../../../kernel/inet/keep-freed-memory.ts'
import { ForwardError } from './forward-error.ts'
import {
  defaultForwarderOptions,
  type Forwarder,
  type ForwarderChange,
  type ForwarderEvent,
  type ForwarderOptions,
  type ForwarderStats,
  type ListenerSpec,
  type ListenerState,
  type VirtualServerSpec,
} from './forwarder.ts'
import { ListenerTable, type Opened } from './listener-table.ts'
import { type EngineChange, noChange, type ServerSetup } from './messages.ts'
import { ProcessCounters } from './process-counters.ts'
import { freeDescriptors } from './process-limits.ts'
import { SlotTable } from './slot-table.ts'
import { type EngineThread, localEngine, WorkerEngine } from './threads.ts'

/** @throws RangeError for options that make no sense: no thread, no attempt */
export const createForwarder = (options: Partial<ForwarderOptions> = {}): Forwarder =>
  new Threads({ ...defaultForwarderOptions, ...options })

/** What a burst of bulk traffic leaves behind. */
const keptBytes = 64 * 2 ** 20

/** Gives out sockets and counters, and has the engines of all threads do the same. */
class Threads implements Forwarder {
  readonly #options: ForwarderOptions
  readonly #process = new ProcessCounters()
  readonly #maxDescriptors: number
  readonly #slots: SlotTable
  readonly #listeners: ListenerTable
  readonly #specs = new Map<string, VirtualServerSpec>()
  readonly #engines: readonly EngineThread[]
  readonly #listenerReports: ((state: ListenerState) => void)[] = []
  readonly #eventReports: ((event: ForwarderEvent) => void)[] = []
  #retry: NodeJS.Timeout | undefined
  /** Changes go to the threads one after the other. */
  #queue: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(options: ForwarderOptions) {
    const { threads, attempts } = options
    if (!Number.isInteger(threads) || threads < 1) throw new RangeError(`threads: ${threads}`)
    if (!Number.isInteger(attempts) || attempts < 1) throw new RangeError(`attempts: ${attempts}`)
    this.#options = options
    this.#slots = new SlotTable(threads)
    this.#listeners = new ListenerTable(threads)
    this.#maxDescriptors = freeDescriptors()
    keepFreedMemory(keptBytes)
    const tell = (event: ForwarderEvent): void => {
      for (const report of this.#eventReports) report(event)
    }
    const setup = { options, maxDescriptors: this.#maxDescriptors, process: this.#process.memory }
    this.#engines = Array.from({ length: threads }, (_, thread) =>
      threads === 1 ? localEngine({ ...setup, thread }, tell) : new WorkerEngine({ ...setup, thread }, tell),
    )
  }

  apply(change: ForwarderChange, signal: AbortSignal): Promise<readonly ListenerState[]> {
    return this.#inTurn(async () => {
      signal.throwIfAborted()
      if (this.#closing !== undefined) throw new ForwardError('closed', 'apply', 'the forwarder is closed')
      await this.#servers(change)
      return this.#reopen(change)
    })
  }

  stats(): ForwarderStats {
    return {
      servers: this.#slots.stats(Number(process.hrtime.bigint() / 1_000_000n)),
      listeners: this.#listeners.states,
      connections: this.#process.connections,
      udpSessions: this.#process.sessions,
      pausedThreads: this.#process.paused,
      pauses: this.#process.pauses,
      maxDescriptors: this.#maxDescriptors,
      threads: this.#options.threads,
    }
  }

  onListener(report: (state: ListenerState) => void): void {
    this.#listenerReports.push(report)
  }

  onEvent(report: (event: ForwarderEvent) => void): void {
    this.#eventReports.push(report)
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#inTurn(async () => {
      clearTimeout(this.#retry)
      await Promise.all(this.#engines.map((engine) => engine.close(drainMs)))
    })
    return this.#closing
  }

  async #servers(change: ForwarderChange): Promise<void> {
    this.#slots.reclaim()
    const servers: [string, ServerSetup | undefined][] = []
    for (const [id, spec] of change.servers) {
      if (spec === undefined) this.#slots.remove(id)
      servers.push([id, spec === undefined ? undefined : this.#slots.put(spec)])
      if (spec === undefined) this.#specs.delete(id)
      else this.#specs.set(id, spec)
    }
    const blocks = this.#slots.takeBlocks()
    if (servers.length > 0) await this.#tellAll(() => ({ ...noChange, blocks, servers }))
  }

  async #reopen({ listeners }: ForwarderChange): Promise<readonly ListenerState[]> {
    const specOf = (id: string): VirtualServerSpec | undefined => this.#specs.get(id)
    const closed: string[] = []
    const kept: ListenerSpec[] = []
    const put = (spec: ListenerSpec): void => {
      const fate = this.#listeners.put(spec, specOf)
      if (fate === 'close') closed.push(spec.id)
      if (fate === 'keep') kept.push(spec)
    }
    for (const [id, spec] of listeners) {
      if (spec !== undefined) put(spec)
      else if (this.#listeners.remove(id)) closed.push(id)
    }
    for (const spec of this.#listeners.unsuited(specOf)) put(spec)
    if (closed.length + kept.length > 0) await this.#tellAll(() => ({ ...noChange, closed, changed: kept }))
    const changed = await this.#open()
    for (const state of changed) if (!listeners.has(state.id)) this.#report(state)
    return [...listeners.keys()].flatMap((id) => this.#listeners.state(id) ?? [])
  }

  /** Opens what can be opened, and plans another attempt for the rest. */
  async #open(): Promise<readonly ListenerState[]> {
    const { opened, changed } = this.#listeners.open()
    if (opened.length > 0) await this.#handOut(opened)
    clearTimeout(this.#retry)
    if (this.#listeners.waiting) this.#retry = setTimeout(() => this.#again(), this.#options.retryMs)
    return changed
  }

  async #handOut(opened: readonly Opened[]): Promise<void> {
    try {
      await this.#tellAll((thread) => ({
        ...noChange,
        opened: opened.map(({ spec, descriptors }) => ({ spec, descriptor: descriptors[thread] ?? -1 })),
      }))
    } catch (error) {
      if (this.#options.threads === 1) for (const { descriptors } of opened) descriptors.forEach(closeSync)
      throw error
    }
  }

  #again(): void {
    const attempt = this.#inTurn(async () => {
      if (this.#closing !== undefined) return
      for (const state of await this.#open()) this.#report(state)
    })
    // A thread that has failed has said so already.
    attempt.catch(() => {})
  }

  #report(state: ListenerState): void {
    for (const report of this.#listenerReports) report(state)
  }

  async #tellAll(change: (thread: number) => EngineChange): Promise<void> {
    await Promise.all(this.#engines.map((engine, thread) => engine.apply(change(thread))))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => {})
    return result
  }
}
