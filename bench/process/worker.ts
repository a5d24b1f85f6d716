/**
 * Child processes that do one thing at a time when told: each measurement has a process of its own, in the network
 * namespace it needs, so that neither heap nor ruleset of one disturbs another.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What can be asked of a worker, by name. */
export type Operations = Readonly<Record<string, { readonly request: unknown; readonly reply: unknown }>>

export type Handlers<O extends Operations> = {
  readonly [Name in keyof O]: (request: O[Name]['request']) => O[Name]['reply'] | Promise<O[Name]['reply']>
}

interface Request {
  readonly id: number
  readonly name: string
  readonly body: unknown
}

type Reply =
  | { readonly id: number; readonly kind: 'done'; readonly value: unknown }
  | { readonly id: number; readonly kind: 'error'; readonly message: string }

/** In the child: answers requests one after the other until the parent goes away. */
export const answer = <O extends Operations>(handlers: Handlers<O>): void => {
  process.on('message', (message) => {
    const { id, name, body } = message as Request
    const perform = async (): Promise<unknown> => await handlers[name]?.(body)
    perform().then(
      (value) => process.send?.({ id, kind: 'done', value } satisfies Reply),
      (error: unknown) => {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        process.send?.({ id, kind: 'error', message: text } satisfies Reply)
      },
    )
  })
  process.on('disconnect', () => process.exit(0))
}

/** What the program sets for itself (src/cli/memory.ts), and the image on its command line (deploy/Dockerfile). */
const shippedFlags = ['--heap-growing-percent=90', '--min-semi-space-size=16']

/** In the parent: a running child. Both ends are ours, so what it says is taken on trust. */
export class Worker<O extends Operations> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #lastId = 0

  /** `module`: of the child, as a URL. `netns`: the name of its network namespace; none = that of the caller. */
  constructor(module: URL, netns?: string) {
    const argv = [process.execPath, ...shippedFlags, fileURLToPath(module)]
    const [command = '', ...args] = netns === undefined ? argv : ['ip', 'netns', 'exec', netns, ...argv]
    this.#child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (message) => this.#receive(message as Reply))
    this.#child.on('error', (error) => this.#abandon(error))
    this.#child.on('exit', (code, signal) => this.#abandon(new Error(`a worker ended: ${code ?? signal}`)))
  }

  ask<Name extends keyof O & string>(name: Name, body: O[Name]['request']): Promise<O[Name]['reply']> {
    const id = ++this.#lastId
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, name, body } satisfies Request)
    })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    if (this.#child.connected) this.#child.disconnect()
    await ended
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (reply.kind === 'done') waiting?.resolve(reply.value)
    else waiting?.reject(new Error(reply.message))
  }

  #abandon(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
