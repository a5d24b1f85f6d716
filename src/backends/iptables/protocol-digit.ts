import type { Protocol } from '../../model/protocol.ts'

/** Stands for the protocol in the key of a dispatch entry. */
export const protocolDigit = { TCP: '0', UDP: '1', SCTP: '2' } as const satisfies Record<Protocol, string>
