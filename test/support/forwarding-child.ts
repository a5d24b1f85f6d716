/** The forwarding engine as a process of its own, so that its descriptors, memory and processor time can be measured. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import type {
  ForwarderEvent,
  ForwarderOptions,
  ForwarderStats,
} from '../../src/backends/userspace/forward/forwarder.ts'
import { serve, serverSpec, target } from './forwarding.ts'

export interface ChildSetup {
  readonly endpoint: number
  readonly options: Partial<ForwarderOptions>
}

export interface ChildFacts {
  readonly stats: ForwarderStats
  readonly events: readonly ForwarderEvent['kind'][]
  readonly rssMiB: number
  /** Of all threads, since the process began. */
  readonly cpuMs: number
}

type Request =
  | { readonly kind: 'facts' }
  | { readonly kind: 'hog'; readonly descriptors: number; readonly leave: number }

/** In the parent. */
export class ForwardingChild {
  readonly port: number
  readonly #process: ChildProcess

  private constructor(port: number, process: ChildProcess) {
    this.port = port
    this.#process = process
  }

  /** `descriptors`: its RLIMIT_NOFILE. */
  static async start(setup: ChildSetup, descriptors?: number): Promise<ForwardingChild> {
    const limit = descriptors === undefined ? [] : ['prlimit', `--nofile=${descriptors}:${descriptors}`]
    const [command = '', ...args] = [...limit, process.execPath, fileURLToPath(import.meta.url), JSON.stringify(setup)]
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const [port]: unknown[] = await once(child, 'message')
    return new ForwardingChild(Number(port), child)
  }

  get alive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  facts(): Promise<ChildFacts> {
    return this.#ask({ kind: 'facts' })
  }

  /**
   * Opens so many descriptors that the engine knows nothing of, after closing what it opened before. When there are not as
   * many, all but `leave`.
   */
  async hog(descriptors: number, leave = 0): Promise<void> {
    await this.#ask({ kind: 'hog', descriptors, leave })
  }

  async end(): Promise<void> {
    if (!this.alive) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }

  async #ask(request: Request): Promise<ChildFacts> {
    this.#process.send(request)
    const [facts]: unknown[] = await once(this.#process, 'message')
    return facts as ChildFacts
  }
}

const run = async ({ endpoint, options }: ChildSetup): Promise<void> => {
  const forwarder = createForwarder(options)
  const events: ForwarderEvent['kind'][] = []
  forwarder.onEvent(({ kind }) => events.push(kind))
  const port = await serve(forwarder, serverSpec([target(endpoint)]))
  const hogged: number[] = []
  process.on('message', (request: Request) => {
    if (request.kind === 'hog') {
      for (const fd of hogged.splice(0)) closeSync(fd)
      try {
        while (hogged.length < request.descriptors) hogged.push(openSync('/dev/null', 'r'))
      } catch {
        // None are left, which is what was asked for.
        for (const fd of hogged.splice(0, request.leave)) closeSync(fd)
      }
    }
    const { user, system } = process.cpuUsage()
    const rssMiB = residentMiB()
    const facts: ChildFacts = { stats: forwarder.stats(), events, rssMiB, cpuMs: (user + system) / 1000 }
    process.send?.(facts)
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.(port)
}

/** NaN when there is no descriptor to read it with. */
const residentMiB = (): number => {
  try {
    return process.memoryUsage.rss() / 2 ** 20
  } catch {
    return Number.NaN
  }
}

const [, script, setup] = process.argv
if (script === fileURLToPath(import.meta.url) && setup !== undefined) await run(JSON.parse(setup) as ChildSetup)
