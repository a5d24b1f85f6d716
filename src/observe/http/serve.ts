import type { RequestListener } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { ObserveError } from '../error.ts'
import { listenTcp } from './listen.ts'
import { closeServer, httpServer } from './server.ts'

export interface ServeOptions {
  /** A literal IP address. Either wildcard, `0.0.0.0` or `::`, accepts both families. */
  readonly address: string
  /** 0 = any free port. */
  readonly port: number
  /** Give up when the address cannot be bound at once (bindAddressHardFail); otherwise try again for ever. */
  readonly hardFail: boolean
  /** Milliseconds between two attempts; kube-proxy's 5 s by default. */
  readonly retryMs?: number
  /** Told of every failed attempt, and of errors of the open server. */
  readonly onError: (error: unknown) => void
}

export interface RunningServer {
  /** The port that is open; undefined while it cannot be bound. */
  readonly port: number | undefined
  /** Resolves when the address is bound, or when the server is closed before that. */
  readonly bound: Promise<void>
  /** Ends the server and every connection. Safe to call twice. */
  close(): Promise<void>
}

/** More than any set of probes and scrapers needs. */
const maxConnections = 512

/**
 * Serves HTTP until `signal` aborts or close() is called. Resolves after the first attempt to bind, whatever came of
 * it, so that a taken port holds up nothing else.
 *
 * @throws ObserveError when the first attempt fails and `hardFail` is set
 */
export const serve = async (
  { address, port, hardFail, retryMs = 5_000, onError }: ServeOptions,
  listener: RequestListener,
  signal: AbortSignal,
): Promise<RunningServer> => {
  signal.throwIfAborted()
  const server = httpServer(listener, { maxConnections })
  const closed = new AbortController()
  let open: number | undefined

  const attempt = async (): Promise<ObserveError | undefined> => {
    try {
      const bound = await listenTcp(server, address, port)
      server.on('error', onError)
      // Closing does not stop a bind under way; close() waits for it and then ends it.
      if (!closed.signal.aborted) open = bound
      return undefined
    } catch (failure) {
      if (failure instanceof ObserveError) return failure
      throw failure
    }
  }

  const failure = await attempt()
  if (failure !== undefined && hardFail) throw failure

  const keepTrying = async (first: ObserveError | undefined): Promise<void> => {
    for (let last = first; last !== undefined; last = await attempt()) {
      onError(last)
      await sleep(retryMs, undefined, { signal: closed.signal }).catch(() => undefined)
      if (closed.signal.aborted) return
    }
  }
  const bound = keepTrying(failure)

  const close = async (): Promise<void> => {
    closed.abort()
    open = undefined
    await bound
    await closeServer(server)
  }
  const onAbort = (): void => void close()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()

  return {
    get port() {
      return open
    },
    bound,
    close: async () => {
      signal.removeEventListener('abort', onAbort)
      await close()
    },
  }
}
