import { ApiError, statusError } from './api-error.ts'
import { parseWatchEvent, type WatchEvent } from './api-object.ts'
import type { Clock } from './clock.ts'
import type { Connection, Credentials } from './credentials.ts'
import { LineSplitter } from './lines.ts'
import { ListSplitter } from './list-splitter.ts'
import { Pieces } from './pieces.ts'
import { createRateLimit, type RateLimitOptions } from './rate-limit.ts'
import { type Answer, exchange } from './transport.ts'

/** Parameters of a request; undefined ones are left out. */
export type Query = Readonly<Record<string, string | undefined>>

export type ListPart =
  /** Never empty, at most {@link ClientOptions.batch} long. */
  | { readonly kind: 'items'; readonly items: readonly unknown[] }
  /** The list without its items: comes once, last. */
  | { readonly kind: 'end'; readonly list: unknown }

/**
 * A small client of the Kubernetes API, JSON only. Everything it rejects or throws is an {@link ApiError}, or the
 * signal's reason. A 401 is answered by reading the credentials again, once.
 */
export interface KubeClient {
  /** GETs `path`, or POSTs `body` to it; gives the parsed answer. */
  request(path: string, query: Query, signal: AbortSignal, body?: unknown): Promise<unknown>
  /** GETs one page of a list and hands over its items while they arrive. */
  list(path: string, query: Query, signal: AbortSignal): AsyncIterable<ListPart>
  /**
   * Opens a watch: resolves once the server has accepted it. What is iterated ends when the server ends the watch,
   * and throws when the connection breaks, falls silent for `silenceMs`, or says something that is no watch event.
   */
  stream(path: string, query: Query, silenceMs: number, signal: AbortSignal): Promise<AsyncIterable<WatchEvent>>
  close(): void
}

export interface ClientOptions {
  readonly credentials: Credentials
  readonly clock: Clock
  /** For everything but watches, as in client-go. */
  readonly rateLimit: RateLimitOptions
  /** Longest silence before and within an answer, milliseconds. The API server gives up on a request after 60 s. */
  readonly answerMs?: number
  /** Most items handed over at once. */
  readonly batch?: number
}

interface Call {
  readonly verb: 'GET' | 'POST' | 'LIST' | 'WATCH'
  readonly path: string
  readonly query: Query
  readonly body?: unknown
  readonly bodyMs: number
}

export const createClient = ({
  credentials,
  clock,
  rateLimit,
  answerMs = 65_000,
  batch = 500,
}: ClientOptions): KubeClient => {
  const limit = createRateLimit(rateLimit, clock)

  const send = (connection: Connection, call: Call, signal: AbortSignal): Promise<Answer> => {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    const what = { op: opOf(call), target: call.path + queryText(call.query), body, bodyMs: call.bodyMs }
    return exchange(connection, { ...what, method: body === undefined ? 'GET' : 'POST', headMs: answerMs }, signal)
  }

  const open = async (call: Call, signal: AbortSignal): Promise<Answer> => {
    if (call.verb !== 'WATCH') await limit.take(signal)
    const connection = await credentials.connection(signal)
    const first = await send(connection, call, signal)
    if (first.status !== 401) return accepted(call, first)
    await discard(first)
    return accepted(call, await send(await credentials.renew(connection, signal), call, signal))
  }

  return {
    request: async (path, query, signal, body) => {
      const call: Call = { verb: body === undefined ? 'GET' : 'POST', path, query, body, bodyMs: answerMs }
      const answer = await open(call, signal)
      return readable(call, JSON.parse, await text(answer))
    },

    list: async function* (path, query, signal) {
      const call: Call = { verb: 'LIST', path, query, bodyMs: answerMs }
      const splitter = new ListSplitter()
      let items: unknown[] = []
      for await (const chunk of (await open(call, signal)).body) {
        for (const item of cut(call, splitter, chunk)) {
          items.push(item)
          if (items.length < batch) continue
          yield { kind: 'items', items }
          items = []
        }
      }
      const list = readable(call, () => splitter.end(), '')
      if (items.length > 0) yield { kind: 'items', items }
      yield { kind: 'end', list }
    },

    stream: async (path, query, silenceMs, signal) => {
      const call: Call = { verb: 'WATCH', path, query, bodyMs: silenceMs }
      return watchEvents(call, await open(call, signal))
    },

    close: () => {
      credentials.close()
    },
  }
}

const opOf = ({ verb, path }: Call): string => `${verb} ${path}`

const queryText = (query: Query): string => {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value)
  return parameters.size === 0 ? '' : `?${parameters}`
}

const errorBodyLimit = 64 * 1024

const accepted = async (call: Call, answer: Answer): Promise<Answer> => {
  if (answer.status >= 200 && answer.status < 300) return answer
  const body = await text(answer, errorBodyLimit).catch(() => '')
  throw statusError(opOf(call), answer.status, jsonOrNothing(body), answer.retryAfter)
}

const jsonOrNothing = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** Reads an answer that nobody wants, so that its connection can serve again. */
const discard = async (answer: Answer): Promise<void> => {
  await text(answer, errorBodyLimit).catch(() => '')
}

const text = async (answer: Answer, limit?: number): Promise<string> => {
  const pieces = new Pieces(limit)
  for await (const chunk of answer.body) pieces.add(chunk)
  return pieces.take()
}

/** Turns what a parser throws into an ApiError. Its message may quote the text, so only the cause keeps it. */
const readable = <In, Out>(call: Call, parse: (input: In) => Out, input: In): Out => {
  try {
    return parse(input)
  } catch (cause) {
    throw unreadable(call, cause)
  }
}

const unreadable = (call: Call, cause: unknown): ApiError => {
  if (cause instanceof ApiError) return cause
  const detail = cause instanceof RangeError ? cause.message : 'the answer is no JSON, or is cut off'
  return new ApiError('badResponse', opOf(call), detail, { cause })
}

function* cut<T>(
  call: Call,
  splitter: { push(chunk: Buffer): Iterable<T> },
  chunk: Buffer,
): Generator<T, void, undefined> {
  try {
    yield* splitter.push(chunk)
  } catch (cause) {
    throw unreadable(call, cause)
  }
}

async function* watchEvents(call: Call, answer: Answer): AsyncGenerator<WatchEvent, void, undefined> {
  const op = opOf(call)
  const splitter = new LineSplitter()
  for await (const chunk of answer.body) {
    for (const line of cut(call, splitter, chunk)) yield parseWatchEvent(op, line)
  }
  const last = splitter.end()
  if (last !== '') yield parseWatchEvent(op, last)
}
