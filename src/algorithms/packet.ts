import type { IP } from '../model/ip.ts'

/** What a scheduler may look at. It keeps nothing of it but the destination's text, so one object can be used again and again. */
export interface Packet {
  readonly client: IP
  /** Of TCP, UDP and SCTP; 0 for what has no ports. */
  readonly clientPort: number
  /** The address that the client asked for: the same for all, except in services by firewall mark. */
  readonly destination: IP
}
