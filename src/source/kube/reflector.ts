import { assertNever } from '../../model/assert-never.ts'
import type { ChangeSink } from '../../model/change.ts'
import { ApiError } from './api-error.ts'
import { continueToken, listVersion, parseObject, type WatchEvent } from './api-object.ts'
import { type Backoff, createBackoff } from './backoff.ts'
import type { KubeClient, Query } from './client.ts'
import type { Clock } from './clock.ts'
import { type ListFrom, listFromAfter, listQuery, nextPageQuery } from './list-from.ts'
import { ObjectFeed } from './object-feed.ts'
import type { KubeEvent, ResourceSpec, ResourceStatus } from './resource.ts'
import type { ReflectorTiming } from './timing.ts'

export interface ReflectorOptions {
  readonly client: KubeClient
  readonly spec: ResourceSpec
  readonly sink: Pick<ChangeSink, 'changes' | 'problem'>
  /** The first list is in, or there is nothing to wait for. Called once. */
  readonly onAnswered: () => void
  readonly onEvent: (event: KubeEvent) => void
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly timing: ReflectorTiming
}

/**
 * Keeps a sink in step with one collection: lists it, watches it, and after any failure goes on from wherever it can,
 * for ever. A failure by itself takes nothing back: what vanished meanwhile is told from a later list.
 *
 * There is no periodic resync (`configSyncPeriod`): it hands over unchanged objects again, for consumers that forget
 * changes they failed to apply. Ours do not.
 */
export class Reflector {
  readonly #options: ReflectorOptions
  readonly #feed: ObjectFeed
  readonly #backoff: Backoff
  /** Where the watch resumes; undefined = list first. */
  #position: string | undefined
  #listFrom: ListFrom = { kind: 'cache' }
  /** The last list was followed by news, or by a watch that lived: listing at once again cannot become a tight loop. */
  #listPaid = true
  #answered = false
  #watching = false
  #lastEventAt: number | undefined
  #lists = 0
  #watches = 0
  #errors = 0

  constructor(options: ReflectorOptions) {
    this.#options = options
    this.#feed = new ObjectFeed(options.spec, options.sink)
    this.#backoff = createBackoff(options.timing.backoff, options.random)
  }

  /** Resolves when `signal` is aborted; rejects only with what the sink or `toChanges` threw. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#position === undefined) await this.#list(signal)
        else await this.#watch(this.#position, signal)
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof ApiError)) throw error
        const retryMs = this.#position === undefined ? this.#afterList(error) : this.#afterWatch(error, this.#position)
        await this.#pause(retryMs, signal)
      }
    }
  }

  status(): ResourceStatus {
    return {
      listed: this.#lists > 0,
      watching: this.#watching,
      objects: this.#feed.size,
      lastEventAt: this.#lastEventAt,
      relists: Math.max(0, this.#lists - 1),
      reconnects: Math.max(0, this.#watches - 1),
      errors: this.#errors,
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { spec, onEvent } = this.#options
    this.#feed.beginList()
    const first = await this.#page(listQuery(this.#listFrom), signal)
    for (let token = continueToken(first); token !== undefined; )
      token = continueToken(await this.#page(nextPageQuery(token), signal))
    this.#feed.endList()
    // Of the first page: if a later one were from a newer version, watching from there would skip what lies between.
    this.#position = listVersion(`LIST ${spec.path}`, first)
    this.#listPaid = false
    this.#lists++
    onEvent({ kind: 'listed', resource: spec.name, objects: this.#feed.size, relist: this.#lists > 1 })
    this.#answer()
  }

  /** Gives the page without its items. */
  async #page(query: Query, signal: AbortSignal): Promise<unknown> {
    const { spec, client, clock } = this.#options
    const op = `LIST ${spec.path}`
    let list: unknown
    for await (const part of client.list(spec.path, { ...selectors(spec), ...query }, signal)) {
      this.#lastEventAt = clock.now()
      if (part.kind === 'end') list = part.list
      else this.#feed.listed(part.items.map((item) => parseObject(op, item)))
    }
    return list
  }

  async #watch(from: string, signal: AbortSignal): Promise<void> {
    const { spec, client, clock, random, timing } = this.#options
    const lastingMs = timing.watchMs * (1 + random())
    const query = {
      ...selectors(spec),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: from,
      timeoutSeconds: String(Math.ceil(lastingMs / 1000)),
    }
    const events = await client.stream(spec.path, query, lastingMs + timing.graceMs, signal)
    const openedAt = clock.now()
    let news = false
    this.#watching = true
    this.#watches++
    try {
      for await (const event of events) {
        news = true
        this.#take(event)
      }
    } finally {
      this.#watching = false
      if (clock.now() - openedAt >= timing.settledMs) {
        this.#backoff.reset()
        this.#listPaid = true
      }
    }
    if (!news && clock.now() - openedAt < timing.shortestMs)
      throw new ApiError('network', `WATCH ${spec.path}`, 'the server ended the watch at once')
  }

  #take(event: WatchEvent): void {
    this.#lastEventAt = this.#options.clock.now()
    this.#listPaid = true
    switch (event.kind) {
      case 'present':
        this.#feed.present(event.object)
        this.#position = event.object.resourceVersion
        break
      case 'gone':
        this.#feed.gone(event.object)
        this.#position = event.object.resourceVersion
        break
      case 'bookmark':
        this.#position = event.resourceVersion
        break
      default:
        assertNever(event, 'watch event')
    }
  }

  /** Decides what to do about a failed list; gives the milliseconds to wait first. */
  #afterList(error: ApiError): number {
    const { spec, onEvent } = this.#options
    if (spec.optional && isAbsent(error)) return this.#absent(error)
    // Whatever the reason, an optional resource must not keep the others waiting.
    if (spec.optional) this.#answer()
    const before = this.#listFrom
    this.#listFrom = listFromAfter(before, error.code, this.#feed.partial)
    const isStep = isStale(error) && before !== this.#listFrom
    const retryMs = isStep ? 0 : this.#delay(error)
    this.#errors++
    onEvent({ kind: 'failed', resource: spec.name, error, retryMs })
    return retryMs
  }

  /** Decides what to do about a failed watch; gives the milliseconds to wait first. */
  #afterWatch(error: ApiError, position: string): number {
    const { spec, onEvent } = this.#options
    const retryMs = isStale(error) && this.#listPaid ? 0 : this.#delay(error)
    this.#errors++
    // A line that is not understood may have been a change: only a list can tell.
    const mustList = isStale(error) || error.code === 'badResponse' || (spec.optional && isAbsent(error))
    if (mustList) {
      this.#listFrom = { kind: 'notOlderThan', resourceVersion: position }
      this.#position = undefined
    }
    onEvent({ kind: mustList ? 'relisting' : 'failed', resource: spec.name, error, retryMs })
    return retryMs
  }

  #absent(error: ApiError): number {
    const { spec, onEvent, timing } = this.#options
    // Gone is gone; but a refusal says nothing about the objects that we were allowed to see before.
    if (error.code === 'notFound') this.#feed.clear()
    this.#answer()
    onEvent({ kind: 'absent', resource: spec.name, error, retryMs: timing.absentMs })
    return timing.absentMs
  }

  /** The sum, not the longer of the two: all who were told the same time must not come back together. */
  #delay(error: ApiError): number {
    return Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs) + this.#backoff.next()
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      if (ms > 0) await this.#options.clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #answer(): void {
    if (this.#answered) return
    this.#answered = true
    this.#options.onAnswered()
  }
}

/** The longest stay away that a Retry-After may impose. */
const maxRetryAfterMs = 300_000

const selectors = ({ fieldSelector, labelSelector }: ResourceSpec): Query => ({ fieldSelector, labelSelector })

const isAbsent = ({ code }: ApiError): boolean => code === 'notFound' || code === 'forbidden'

/** The server's history and ours do not meet any more. */
const isStale = ({ code }: ApiError): boolean => code === 'expired' || code === 'versionTooLarge'
