/** What the annotations of a Service ask of a proxy that handles each connection itself. */
export interface ConnectionOptions {
  /** Endpoints are told who the client is by a PROXY protocol v2 header (TCP). */
  readonly proxyProtocol: boolean
  /** Connections, or UDP sessions, at a time, per service port and family; undefined = any number. */
  readonly maxConnections: number | undefined
}

export const defaultConnections: ConnectionOptions = { proxyProtocol: false, maxConnections: undefined }
