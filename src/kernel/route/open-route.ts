import { protocols } from '../netlink/constants.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'

/** A socket for requests and dumps of rtnetlink, in the network namespace that this process is in. */
export const openRoute = (): Transport =>
  openTransport({ protocol: protocols.route, sendBuffer: 1 << 18, receiveBuffer: 1 << 20, strictDumps: true })
