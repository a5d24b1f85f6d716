import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { ApiError, networkError } from './api-error.ts'
import type { Connection } from './credentials.ts'

/** One HTTP request, ready to go. */
export interface Exchange {
  readonly op: string
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly body: string | undefined
  /** Longest silence before the answer's head, milliseconds; covers name lookup, connecting and TLS too. */
  readonly headMs: number
  /** Longest silence within the answer's body, milliseconds. */
  readonly bodyMs: number
}

export interface Answer {
  readonly status: number
  readonly retryAfter: string | undefined
  /** To be read to its end, or left early, once. Throws ApiError. */
  readonly body: AsyncIterable<Buffer>
}

/** Rejects with ApiError 'network' or 'timeout', or with the signal's reason. Any status is an answer. */
export const exchange = async (connection: Connection, what: Exchange, signal: AbortSignal): Promise<Answer> => {
  for (;;) {
    const attempt = await send(connection, what, signal)
    // A kept connection that the server closed while the request was on its way. Nothing was answered: GET is safe to repeat.
    if (attempt === 'stale') continue
    return attempt
  }
}

const send = async (connection: Connection, what: Exchange, signal: AbortSignal): Promise<Answer | 'stale'> => {
  signal.throwIfAborted()
  const { server, agent, headers } = connection
  const make = server.protocol === 'http:' ? httpRequest : httpsRequest
  const request = make(new URL(server.pathname.replace(/\/$/, '') + what.target, server), {
    agent,
    method: what.method,
    headers: {
      ...headers,
      accept: 'application/json',
      'user-agent': 'weir',
      ...(what.body !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(what.body),
      }),
    },
  })
  // A dead peer must show within a minute even while a quiet watch has nothing to say.
  request.setSocketKeepAlive(true, 30_000)
  const guard = createGuard(what, signal, (why) => request.destroy(why))
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve)
      request.on('error', reject)
      request.end(what.body)
    })
    guard.onFailure((why) => response.destroy(why))
    const { 'retry-after': retryAfter } = response.headers
    return { status: response.statusCode ?? 0, retryAfter, body: read(response, what, guard) }
  } catch (cause) {
    guard.stop()
    signal.throwIfAborted()
    if (request.reusedSocket && what.method === 'GET' && isReset(cause)) return 'stale'
    throw networkError(what.op, cause)
  }
}

async function* read(response: IncomingMessage, what: Exchange, guard: Guard): AsyncGenerator<Buffer, void, undefined> {
  try {
    guard.expect(what.bodyMs)
    for await (const chunk of response) {
      guard.expect(what.bodyMs)
      yield chunk
    }
  } catch (cause) {
    guard.signal.throwIfAborted()
    throw networkError(what.op, cause)
  } finally {
    guard.stop()
  }
}

const isReset = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'ECONNRESET' || cause.code === 'EPIPE')

/** Ends an exchange when the caller gives up or the server falls silent. */
interface Guard {
  readonly signal: AbortSignal
  /** From now on, this long a silence is too long. */
  expect(ms: number): void
  /** What to end from now on. */
  onFailure(destroy: (why: Error) => void): void
  stop(): void
}

const createGuard = (what: Exchange, signal: AbortSignal, destroyRequest: (why: Error) => void): Guard => {
  let destroy = destroyRequest
  const start = (ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      destroy(new ApiError('timeout', what.op, `not a byte for ${ms} ms`))
    }, ms)
  const onAbort = (): void => {
    destroy(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
  }
  let silence = what.headMs
  let timer = start(silence)
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    signal,
    expect: (ms) => {
      if (ms === silence) {
        timer.refresh()
        return
      }
      clearTimeout(timer)
      silence = ms
      timer = start(ms)
    },
    onFailure: (next) => {
      destroy = next
    },
    stop: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    },
  }
}
