/** The transport protocols of a Service port, as the API spells them. */
export type Protocol = 'TCP' | 'UDP' | 'SCTP'

/** IPPROTO_* of linux/in.h. */
export const protocolNumber = { TCP: 6, UDP: 17, SCTP: 132 } as const satisfies Record<Protocol, number>

/** The word that nft, iptables and chain names use. */
export const protocolWord = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const satisfies Record<Protocol, string>

export const isProtocol = (value: unknown): value is Protocol => value === 'TCP' || value === 'UDP' || value === 'SCTP'
