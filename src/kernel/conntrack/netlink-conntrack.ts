import { type Flow, flowText, type PassingFlow } from '../../model/flow.ts'
import { Connection } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { Conntrack, ConntrackCounter, ConntrackStats, Deletion, FlowFilter } from './conntrack.ts'
import {
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET,
  IPCTNL_MSG_CT_GET_STATS,
  IPCTNL_MSG_CT_GET_STATS_CPU,
} from './constants.ts'
import { FlowReader } from './flow-reader.ts'
import { allFlowsBody, deleteBody, flowsBody, writeHeader } from './flow-wire.ts'
import { addCounters, readGlobal } from './stats-wire.ts'

const openNetfilter = (): Transport => openTransport({ protocol: protocols.netfilter })

/** {@link Conntrack} over ctnetlink, in the network namespace in which its sockets are opened: when first needed. */
export class NetlinkConntrack implements Conntrack {
  readonly #open: () => Transport
  #connection: Connection | undefined
  /** Kernels from 5.8 on send only the protocol that is asked for; older ones send all, or refuse to be asked. */
  #filters = true

  constructor(open: () => Transport = openNetfilter) {
    this.#open = open
  }

  async flows(filter: FlowFilter, onFlow: (flow: PassingFlow) => void, signal: AbortSignal): Promise<void> {
    if (!this.#filters) return this.#dump(filter, allFlowsBody(filter.family), onFlow, signal)
    try {
      await this.#dump(filter, flowsBody(filter), onFlow, signal)
    } catch (error) {
      if (!(error instanceof KernelError) || (error.code !== 'invalid' && error.code !== 'unsupported')) throw error
      await this.#dump(filter, allFlowsBody(filter.family), onFlow, signal)
      this.#filters = false
    }
  }

  async delete(flows: readonly Flow[], signal: AbortSignal): Promise<Deletion> {
    const requests = flows.map(
      (flow): Request => ({ op: `delete flow ${flowText(flow)}`, type: IPCTNL_MSG_CT_DELETE, body: deleteBody(flow) }),
    )
    const refused = (await this.#connected().exchange(requests, signal)).map(({ error }) => error)
    return {
      deleted: flows.length - refused.length,
      refusals: refused.filter(({ code }) => code !== 'notFound'),
    }
  }

  async stats(signal: AbortSignal): Promise<ConntrackStats> {
    const body: Request['body'] = (writer) => writeHeader(writer, 'IPv4')
    const global: Partial<ConntrackStats>[] = []
    this.#connected().request(
      { op: 'read conntrack statistics', type: IPCTNL_MSG_CT_GET_STATS, body },
      signal,
      (message) => global.push(readGlobal(message)),
      'reply',
    )
    const counters = new Map<ConntrackCounter, number>()
    await dump(
      this.#open,
      { op: 'read conntrack counters', type: IPCTNL_MSG_CT_GET_STATS_CPU, body },
      (message) => addCounters(message, counters),
      signal,
      { restart: () => counters.clear() },
    )
    const [{ entries = 0, limit } = {}] = global
    return { entries, limit, counters }
  }

  /** Gives the socket back; another call opens it again. */
  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }

  async #dump(
    filter: FlowFilter,
    body: Request['body'],
    onFlow: (flow: PassingFlow) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const reader = new FlowReader(filter)
    const request = {
      op: `list ${filter.family} ${filter.protocol} flows`,
      type: IPCTNL_MSG_CT_GET,
      ...(body && { body }),
    }
    const each = (message: Parameters<typeof reader.read>[0]): void => {
      const flow = reader.read(message)
      if (flow !== undefined) onFlow(flow)
    }
    // Nothing to forget before it starts over: an entry may come twice.
    await dump(this.#open, request, each, signal, { restart: () => {}, onThread: true })
  }

  #connected(): Connection {
    this.#connection ??= new Connection(this.#open())
    return this.#connection
  }
}

/** The table of the network namespace that this process is in. Opens nothing yet, so it never fails. */
export const openConntrack = (): NetlinkConntrack => new NetlinkConntrack()
