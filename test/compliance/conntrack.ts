import { Connection } from '../../src/kernel/netlink/connection.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'

/** linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h */
const NFNL_SUBSYS_CTNETLINK = 1
const IPCTNL_MSG_CT_DELETE = 2
const nfgenmsgLength = 4

/** Forgets every connection: a case must not meet the flows of the one before, and those of UDP live on for 30 s. */
export const forgetConnections = (signal: AbortSignal): void => {
  const connection = new Connection(openTransport({ protocol: protocols.netfilter }))
  try {
    connection.request(
      {
        op: 'flush conntrack',
        type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
        body: (writer) => void writer.reserve(nfgenmsgLength),
      },
      signal,
    )
  } finally {
    connection.close()
  }
}
