/** Entries of conntrack by the hundred thousand, made over ctnetlink. */
import { writeHeader, writeTuple } from '../../src/kernel/conntrack/flow-wire.ts'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_EXCL, protocols } from '../../src/kernel/netlink/constants.ts'
import type { Request } from '../../src/kernel/netlink/request.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import type { Flow } from '../../src/model/flow.ts'

/** linux/netfilter/nfnetlink_conntrack.h */
const IPCTNL_MSG_CT_NEW = 0x100
const CTA_TUPLE_ORIG = 1
const CTA_TUPLE_REPLY = 2
const CTA_TIMEOUT = 7

const lifeSeconds = 3_600
const atOnce = 1_000

export type NewFlow = Pick<Flow, 'family' | 'protocol' | 'source' | 'destination' | 'target'>

const creation = ({ family, protocol, source, destination, target }: NewFlow): Request => ({
  op: 'create flow',
  type: IPCTNL_MSG_CT_NEW,
  flags: NLM_F_CREATE | NLM_F_EXCL,
  body: (writer) => {
    writeHeader(writer, family)
    writeTuple(writer, CTA_TUPLE_ORIG, family, protocol, source, destination)
    writeTuple(writer, CTA_TUPLE_REPLY, family, protocol, target, source)
    writer.u32be(CTA_TIMEOUT, lifeSeconds)
  },
})

/** Adds them, in the caller's network namespace; throws what the kernel says of the first that it refuses. */
export const createFlows = async (flows: Iterable<NewFlow>, signal: AbortSignal): Promise<void> => {
  const sizes = { sendBuffer: 1 << 18, receiveBuffer: 1 << 20 }
  const connection = new Connection(openTransport({ protocol: protocols.netfilter, ...sizes }))
  try {
    let batch: Request[] = []
    const send = async (): Promise<void> => {
      const [refusal] = await connection.exchange(batch, signal)
      if (refusal !== undefined) throw refusal.error
      batch = []
    }
    for (const flow of flows) {
      batch.push(creation(flow))
      if (batch.length === atOnce) await send()
    }
    if (batch.length > 0) await send()
  } finally {
    connection.close()
  }
}
