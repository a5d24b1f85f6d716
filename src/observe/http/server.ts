import { createServer, type RequestListener, type Server } from 'node:http'

/**
 * An HTTP server that a slow or greedy client cannot hold: 10 s to send a whole request, a bound on connections. An
 * idle connection lives longer than the usual probe and scrape intervals, so a client seldom meets one that is just
 * being closed.
 */
export const httpServer = (listener: RequestListener, maxConnections: number): Server => {
  const server = createServer(
    {
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 90_000,
      connectionsCheckingInterval: 5_000,
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
