/** How packets get to a real server: `ipvsadm -m`, `-g`, `-i`. */
export const forwardingMethods = ['masquerade', 'direct', 'tunnel'] as const
export type ForwardingMethod = (typeof forwardingMethods)[number]

/** What the annotations of a Service ask for each of its connections. Not every backend can do all of it. */
export interface ConnectionOptions {
  /** Endpoints are told who the client is by a PROXY protocol v2 header (TCP). */
  readonly proxyProtocol: boolean
  /** Connections, or UDP sessions, at a time, per service port and family; undefined = any number. */
  readonly maxConnections: number | undefined
  readonly forwarding: ForwardingMethod
  /** TCP connections to endpoints that vanished without terminating are reset instead of left to time out. */
  readonly resetStaleTcp: boolean
}

export const defaultConnections: ConnectionOptions = {
  proxyProtocol: false,
  maxConnections: undefined,
  forwarding: 'masquerade',
  resetStaleTcp: false,
}
