import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Protocol } from '../../src/model/protocol.ts'
import {
  type Ask,
  decodeReply,
  encodeLine,
  type Held,
  type Hold,
  type Operation,
  type Operations,
  type Outcome,
  type Request,
  replyValue,
} from './host-protocol.ts'
import { type Machine, type Program, runOn } from './machine.ts'

const agentFile = fileURLToPath(new URL('./host-agent.js', import.meta.url))

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** What to connect to; the rest has defaults: one TCP connection, three seconds' patience. */
export type Target = Pick<Ask, 'address' | 'port'> & Partial<Ask>

/**
 * A host of a scene: its network namespace and the process that stands in it. Requests to that process cost well under
 * a millisecond beyond what they do.
 */
export class Host {
  readonly name: string
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
  /** The node's end of the link to this host; undefined for the node itself. */
  readonly device: string | undefined
  readonly #prefix: readonly string[]
  readonly #machine: Machine
  readonly #agent: Program
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  /** Starts the process in network namespace `netns` (undefined: the machine's own) and waits until it listens. */
  static async start(place: HostPlace): Promise<Host> {
    const host = new Host(place)
    await new Promise((resolve, reject) => {
      host.#waiting.set(0, { resolve, reject })
    })
    return host
  }

  private constructor({ machine, name, netns, ipv4, ipv6, device, ownPorts }: HostPlace) {
    this.name = name
    this.ipv4 = ipv4
    this.ipv6 = ipv6
    this.device = device
    this.#machine = machine
    this.#prefix = netns === undefined ? [] : ['ip', 'netns', 'exec', netns]
    this.#agent = machine.start([
      ...this.#prefix,
      ...[process.execPath, agentFile, name],
      ...(ownPorts ? ['own-ports'] : []),
    ])
    createInterface({ input: this.#agent.stdout }).on('line', (line) => this.#receive(line))
    void this.#agent.ended.then((failure) => this.#abandon(new Error(`host ${name} ended: ${failure ?? 'status 0'}`)))
  }

  /** Runs a program inside this host and gives back its standard output; rejects when it fails. */
  async run(argv: readonly string[], signal?: AbortSignal): Promise<string> {
    return runOn(this.#machine, [...this.#prefix, ...argv], { signal })
  }

  async listen(protocol: Protocol, port: number): Promise<void> {
    await this.#request('listen', { protocol, port })
  }

  /** Stops the server and cuts its connections. */
  async unlisten(protocol: Protocol, port: number): Promise<void> {
    await this.#request('unlisten', { protocol, port })
  }

  /** One outcome for each connection; never rejects because of the network. */
  async connect(target: Target): Promise<readonly Outcome[]> {
    return this.#request('ask', { protocol: 'TCP', count: 1, parallel: 16, timeoutMs: 3_000, ...target })
  }

  /** A single connection. */
  async ask(target: Target): Promise<Outcome> {
    const [outcome] = await this.connect({ ...target, count: 1 })
    return outcome ?? { kind: 'failed', code: 'ENODATA' }
  }

  /** Opens a TCP connection and keeps it. */
  async hold(target: Pick<Hold, 'address' | 'port'> & Partial<Hold>): Promise<Held> {
    return this.#request('hold', { timeoutMs: 3_000, ...target })
  }

  /** One more request over a held connection; a connection that was cut is opened anew. */
  async again(connection: number): Promise<Outcome> {
    return this.#request('again', { connection })
  }

  async release(connection: number, { reset = false } = {}): Promise<void> {
    await this.#request('release', { connection, reset })
  }

  /** Ends the process; what it still had to do is rejected. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#abandon(new Error(`host ${this.name} was closed`))
    this.#agent.kill()
    await this.#agent.ended
  }

  async #request<Op extends Operation>(op: Op, body: Operations[Op]['request']): Promise<Operations[Op]['reply']> {
    const id = ++this.#lastId
    const value = await new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#agent.stdin.write(encodeLine({ id, op, body } as Request))
    })
    return replyValue(op, value)
  }

  #receive(line: string): void {
    const reply = decodeReply(line)
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (reply.kind === 'done') waiting?.resolve(reply.value)
    else waiting?.reject(new Error(`host ${this.name}: ${reply.message}`))
  }

  #abandon(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

export interface HostPlace {
  /** Where the process is, and the namespace. */
  readonly machine: Machine
  readonly name: string
  readonly netns?: string
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
  readonly device?: string
  /** {@link SceneOptions.ownPorts} */
  readonly ownPorts: boolean
}
