/** The first packet of a connection, as far as rules look at it. */
export interface TracedPacket {
  readonly saddr: string
  readonly daddr: string
  readonly protocol: string
  readonly dport: number
  /** Interface it came in by; '' for what starts on the node. */
  readonly iifname: string
  readonly mark: number
  readonly translated: boolean
  readonly masqueraded: boolean
}

export type Fate = { readonly kind: 'drop' | 'reject' } | { readonly kind: 'on'; readonly packet: TracedPacket }

/** Rules in place of a kernel. */
export interface PacketTracer {
  /** Every fate that the first packet of a connection can meet, from its first hook to its last. */
  trace(packet: TracedPacket): readonly Fate[]
}
