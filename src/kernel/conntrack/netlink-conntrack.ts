import { setImmediate as nextTurn } from 'node:timers/promises'
import { Connection, dump } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { Conntrack, Flow, FlowFilter } from './conntrack.ts'
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET } from './constants.ts'
import { deleteBody, flowsBody, readFlow } from './flow-wire.ts'

const openNetfilter = (): Transport => openTransport({ protocol: protocols.netfilter })

/** Milliseconds of deleting after which other work of the process gets its turn. */
const slice = 4

/** {@link Conntrack} over ctnetlink, in the network namespace in which its sockets are opened: when first needed. */
export class NetlinkConntrack implements Conntrack {
  readonly #open: () => Transport
  #connection: Connection | undefined
  #turn = 0

  constructor(open: () => Transport = openNetfilter) {
    this.#open = open
  }

  async flows(filter: FlowFilter, onFlow: (flow: Flow) => void, signal: AbortSignal): Promise<void> {
    const { family, protocol } = filter
    await dump(
      this.#open,
      { op: `list ${family} ${protocol} flows`, type: IPCTNL_MSG_CT_GET, body: flowsBody(filter) },
      (message) => {
        const flow = readFlow(message, filter)
        if (flow !== undefined) onFlow(flow)
      },
      signal,
    )
  }

  async delete(flow: Flow, signal: AbortSignal): Promise<boolean> {
    if (performance.now() - this.#turn > slice) {
      await nextTurn()
      this.#turn = performance.now()
    }
    signal.throwIfAborted()
    this.#connection ??= new Connection(this.#open())
    try {
      this.#connection.request({ op: describe(flow), type: IPCTNL_MSG_CT_DELETE, body: deleteBody(flow) }, signal)
      return true
    } catch (error) {
      if (error instanceof KernelError && error.code === 'notFound') return false
      throw error
    }
  }

  /** Gives the socket back; another call opens it again. */
  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }
}

const describe = ({ protocol, original: { source, sourcePort, destination, destinationPort } }: Flow): string =>
  `delete flow ${protocol} ${source} port ${sourcePort} to ${destination} port ${destinationPort}`

/** The table of the network namespace that this process is in. Opens nothing yet, so it never fails. */
export const openConntrack = (): NetlinkConntrack => new NetlinkConntrack()
