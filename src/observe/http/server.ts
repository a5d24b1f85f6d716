import { createServer, type RequestListener, type Server } from 'node:http'

export interface HttpLimits {
  readonly maxConnections: number
  /** Milliseconds a client has to send a whole request; it is cut off half as much later at most. */
  readonly requestMs?: number
}

/**
 * An HTTP server that a slow or greedy client cannot hold. An idle connection lives longer than the usual probe and
 * scrape intervals, so a client seldom meets one that is just being closed.
 */
export const httpServer = (listener: RequestListener, { maxConnections, requestMs = 10_000 }: HttpLimits): Server => {
  const server = createServer(
    {
      headersTimeout: requestMs,
      requestTimeout: requestMs,
      keepAliveTimeout: 90_000,
      connectionsCheckingInterval: requestMs / 2,
    },
    listener,
  )
  server.maxConnections = maxConnections
  return server
}

/** Stops listening and cuts every connection, idle or not. Resolves when the last one is gone. */
export const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    // The only error of close() is that the server was not open.
    server.close(() => resolve())
    server.closeAllConnections()
  })
