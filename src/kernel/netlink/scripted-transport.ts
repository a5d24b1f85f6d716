import type { Buffers, Transport, WakingTransport } from './transport.ts'

/** What {@link ScriptedTransport.receive} does next: a datagram, an error, or nothing waiting. */
export type Step = Uint8Array | Error | undefined

/** A socket for tests: answers what it was told to, and remembers what it was asked. */
export class ScriptedTransport implements WakingTransport {
  readonly portId = 4711
  readonly buffers?: Buffers
  /** Datagrams that were sent. */
  readonly sent: Uint8Array[] = []
  readonly groups = new Set<number>()
  closed = false
  readonly #answer: (sent: Uint8Array) => readonly Step[]
  readonly #waiting: Step[] = []

  /** `answer` says what each datagram is answered with. */
  constructor(answer: (sent: Uint8Array) => readonly Step[] = () => [], buffers?: Buffers) {
    this.#answer = answer
    if (buffers !== undefined) this.buffers = buffers
  }

  /** What comes without being asked for. */
  push(...steps: readonly Step[]): void {
    this.#waiting.push(...steps)
  }

  get waiting(): number {
    return this.#waiting.length
  }

  send(bytes: Uint8Array): void {
    const copy = bytes.slice()
    this.sent.push(copy)
    this.#waiting.push(...this.#answer(copy))
  }

  async sendAsync(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.send(bytes)
  }

  receive(): ReturnType<Transport['receive']> {
    const step = this.#waiting.shift()
    if (step instanceof Error) throw step
    return step
  }

  join(group: number): void {
    this.groups.add(group)
  }

  leave(group: number): void {
    this.groups.delete(group)
  }

  wakeBy(): void {}

  close(): void {
    this.closed = true
  }
}
