/** How traffic gets to the process. */
export type Reach =
  /** A table of nftables translates virtual addresses and NodePorts to sockets of the process. Needs CAP_NET_ADMIN. */
  | { readonly kind: 'redirect' }
  /** Sockets on NodePorts, and on a loopback port of `portRange` for each cluster IP. Needs no privilege. */
  | { readonly kind: 'listen'; readonly portRange: PortRange }

/** Both ends belong to it. */
export interface PortRange {
  readonly first: number
  readonly last: number
}
