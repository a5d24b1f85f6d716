import type { RequestListener } from 'node:http'
import type { ServiceKey } from '../../model/names.ts'
import type { HealthCheck } from '../../sync/events.ts'
import type { Clock } from '../clock.ts'
import { ObserveError } from '../error.ts'
import { type Reply, sendReply } from '../http/reply.ts'
import { openPortGroup, type PortGroup } from './port-group.ts'

export interface HealthPortHooks {
  /** What the port of a Service answers now. */
  readonly answer: (check: HealthCheck) => Reply
  /** A Service's port could not be opened. Told once until it succeeds, or fails in another way. */
  readonly failed: (check: HealthCheck, error: ObserveError) => void
  readonly onError: (error: unknown) => void
}

/** Syncs may follow each other by the microsecond; a port that is taken stays so a while. */
const shortestRetryMs = 1_000

/**
 * The healthCheckNodePorts of one family. Ports follow `set` in the background, one step at a time: what is no longer
 * wanted closes before anything opens, so that a port may move between Services.
 */
export class FamilyHealthPorts {
  readonly #hosts: readonly string[]
  readonly #hooks: HealthPortHooks
  readonly #clock: Clock
  readonly #retryMs: number
  readonly #wanted = new Map<ServiceKey, HealthCheck>()
  readonly #open = new Map<ServiceKey, PortGroup>()
  /** Why a Service's port is not open, as last told. */
  readonly #failures = new Map<ServiceKey, string>()
  #timer: NodeJS.Timeout | undefined
  #lastAttempt = Number.NEGATIVE_INFINITY
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(hosts: readonly string[], hooks: HealthPortHooks, clock: Clock, retryMs: number) {
    this.#hosts = hosts
    this.#hooks = hooks
    this.#clock = clock
    this.#retryMs = retryMs
  }

  /** Services whose port is open on every address. */
  get open(): number {
    return this.#open.size
  }

  /** Takes effect at once for ports that are open already. */
  set(changed: ReadonlyMap<ServiceKey, HealthCheck | undefined>): void {
    if (this.#closed) return
    for (const [key, check] of changed) {
      if (check === undefined) this.#wanted.delete(key)
      else this.#wanted.set(key, check)
    }
    this.#kick()
  }

  /** Tries again what failed, unless that was tried a moment ago. */
  retry(): void {
    if (this.#failures.size === 0) return
    if (this.#clock.monotonic() - this.#lastAttempt >= shortestRetryMs) this.#kick()
  }

  /** Resolves when no port is being opened or closed. */
  async settled(): Promise<void> {
    await this.#running
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wanted.clear()
    clearTimeout(this.#timer)
    this.#kick()
    await this.settled()
  }

  #kick(): void {
    this.#again = true
    this.#running ??= this.#follow()
  }

  async #follow(): Promise<void> {
    try {
      while (this.#again) {
        this.#again = false
        this.#lastAttempt = this.#clock.monotonic()
        await this.#closeUnwanted()
        await this.#openMissing()
      }
    } catch (cause) {
      this.#hooks.onError(cause)
    } finally {
      this.#running = undefined
    }
    this.#scheduleRetry()
  }

  async #closeUnwanted(): Promise<void> {
    const closing: Promise<void>[] = []
    for (const [key, group] of this.#open) {
      if (this.#wanted.get(key)?.port === group.port) continue
      this.#open.delete(key)
      closing.push(group.close())
    }
    for (const key of this.#failures.keys()) if (!this.#wanted.has(key)) this.#failures.delete(key)
    await Promise.all(closing)
  }

  async #openMissing(): Promise<void> {
    for (const [key, check] of this.#wanted) {
      if (this.#open.has(key)) continue
      const group = await openPortGroup(this.#hosts, check.port, this.#listener(key), this.#hooks.onError)
      if (group instanceof ObserveError) this.#noteFailure(key, check, group)
      else {
        this.#failures.delete(key)
        this.#open.set(key, group)
      }
    }
  }

  #listener(key: ServiceKey): RequestListener {
    return (request, response) => {
      const check = this.#wanted.get(key)
      // The Service went between the connection and the request: there is nothing true to say.
      if (check === undefined) {
        request.socket.destroy()
        return
      }
      sendReply(response, this.#hooks.answer(check))
    }
  }

  #noteFailure(key: ServiceKey, check: HealthCheck, error: ObserveError): void {
    if (this.#failures.get(key) === error.message) return
    this.#failures.set(key, error.message)
    this.#hooks.failed(check, error)
  }

  #scheduleRetry(): void {
    clearTimeout(this.#timer)
    if (this.#closed || this.#failures.size === 0) return
    this.#timer = setTimeout(() => this.#kick(), this.#retryMs)
    this.#timer.unref()
  }
}
