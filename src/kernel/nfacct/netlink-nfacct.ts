import { Connection } from '../netlink/connection.ts'
import { NLM_F_CREATE, NLM_F_EXCL, protocols } from '../netlink/constants.ts'
import { KernelError, malformed } from '../netlink/error.ts'
import { openTransport } from '../netlink/transport.ts'
import type { MessageReader, Writer } from '../netlink/wire.ts'
import type { Accounted, Nfacct } from './nfacct.ts'

/** linux/netfilter/nfnetlink.h: the subsystem is the upper byte of a message's type. */
const NFNL_SUBSYS_ACCT = 7
/** struct nfgenmsg: family, version, resource; all 0 here. */
const NFGENMSG_LEN = 4

/** linux/netfilter/nfnetlink_acct.h */
const NFNL_MSG_ACCT_NEW = 0
const NFNL_MSG_ACCT_GET = 1
const NFACCT_NAME = 1
const NFACCT_PKTS = 2
const NFACCT_BYTES = 3

const messageType = (message: number): number => (NFNL_SUBSYS_ACCT << 8) | message

/** Counters of the network namespace that this process is in. */
export const openNfacct = (): Nfacct => new NetlinkNfacct()

class NetlinkNfacct implements Nfacct {
  readonly #connection = new Connection(openTransport({ protocol: protocols.netfilter }))

  async supported(signal: AbortSignal): Promise<boolean> {
    try {
      // Nobody needs to have it: a kernel that knows such objects says so.
      await this.read('weir_probe', signal)
      return true
    } catch (error) {
      if (error instanceof KernelError) return false
      throw error
    }
  }

  async ensure(name: string, signal: AbortSignal): Promise<void> {
    try {
      this.#request('create', NFNL_MSG_ACCT_NEW, name, signal, NLM_F_CREATE | NLM_F_EXCL)
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'exists') throw error
    }
  }

  async read(name: string, signal: AbortSignal): Promise<Accounted | undefined> {
    let found: Accounted | undefined
    try {
      this.#request('read', NFNL_MSG_ACCT_GET, name, signal, 0, (message) => {
        found = readCounters(message)
      })
    } catch (error) {
      if (error instanceof KernelError && error.code === 'notFound') return undefined
      throw error
    }
    return found
  }

  close(): void {
    this.#connection.close()
  }

  #request(
    verb: string,
    message: number,
    name: string,
    signal: AbortSignal,
    flags: number,
    onReply?: (message: MessageReader) => void,
  ): void {
    const body = (writer: Writer): void => {
      writer.reserve(NFGENMSG_LEN)
      writer.string(NFACCT_NAME, name)
    }
    const request = { op: `${verb} nfacct ${name}`, type: messageType(message), flags, body }
    this.#connection.request(request, signal, onReply)
  }
}

const readCounters = (message: MessageReader): Accounted => {
  const attributes = message.attributes(NFGENMSG_LEN)
  let packets: bigint | undefined
  let bytes: bigint | undefined
  while (attributes.next()) {
    if (attributes.type === NFACCT_PKTS) packets = attributes.u64be()
    else if (attributes.type === NFACCT_BYTES) bytes = attributes.u64be()
  }
  if (packets === undefined || bytes === undefined) throw malformed('nfacct object without counters')
  return { packets, bytes }
}
