import { Worker } from 'node:worker_threads'
import { Engine } from './engine.ts'
import { ForwardError } from './forward-error.ts'
import type { ForwarderEvent } from './forwarder.ts'
import type { EngineChange, EngineSetup, FromThread, ToThread } from './messages.ts'

/** An engine, here or in a thread of its own. */
export interface EngineThread {
  /** @throws ForwardError `thread` */
  apply(change: EngineChange): Promise<void>
  close(drainMs: number): Promise<void>
}

/** In the calling thread. */
export const localEngine = (setup: EngineSetup, tell: (event: ForwarderEvent) => void): EngineThread => {
  const engine = new Engine(setup, tell)
  return { apply: async (change) => engine.apply(change), close: (drainMs) => engine.close(drainMs) }
}

/** Beside this file, under whatever extension this file runs. */
const workerModule = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** In a worker thread. */
export class WorkerEngine implements EngineThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, PromiseWithResolversOfVoid>()
  readonly #tell: (event: ForwarderEvent) => void
  #last = 0
  #failure: ForwardError | undefined
  #closing = false

  constructor(setup: EngineSetup, tell: (event: ForwarderEvent) => void) {
    this.#tell = tell
    this.#worker = new Worker(workerModule, { workerData: setup, name: `forward-${setup.thread}` })
    this.#worker.on('message', (message: FromThread) => this.#received(message))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', (status) => {
      if (!this.#closing || this.#waiting.size > 0) this.#fail(new Error(`it ended with status ${status}`))
    })
  }

  apply(change: EngineChange): Promise<void> {
    return this.#ask((number) => ({ kind: 'apply', number, change }))
  }

  async close(drainMs: number): Promise<void> {
    this.#closing = true
    if (this.#failure !== undefined) return
    await this.#ask((number) => ({ kind: 'close', number, drainMs }))
    await this.#worker.terminate()
  }

  #ask(message: (number: number) => ToThread): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const number = ++this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#worker.postMessage(message(number))
    })
  }

  #received(message: FromThread): void {
    if (message.kind === 'event') {
      this.#tell(message.event)
      return
    }
    this.#waiting.get(message.number)?.resolve()
    this.#waiting.delete(message.number)
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return
    const text = cause instanceof Error ? cause.message : String(cause)
    this.#failure = new ForwardError('thread', 'forward', text, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
    this.#tell({ kind: 'thread-failed', error: this.#failure })
  }
}

interface PromiseWithResolversOfVoid {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}
