import { access } from 'node:fs/promises'
import { Connection } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import { GenericFamilies, type GenericFamily, genericAttributes, genericRequest } from '../netlink/generic.ts'
import type { Request } from '../netlink/request.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { MessageReader, Reader } from '../netlink/wire.ts'
import { checkTimeouts, misfitOfId, throwIfDenied } from './check.ts'
import {
  IPVS_CMD_GET_CONFIG,
  IPVS_CMD_GET_DEST,
  IPVS_CMD_GET_SERVICE,
  IPVS_CMD_SET_CONFIG,
  IPVS_GENL_NAME,
} from './constants.ts'
import {
  familyOfServer,
  type Ipvs,
  type IpvsChange,
  type IpvsRefusal,
  type IpvsTimeouts,
  type ObservedRealServer,
  type ObservedVirtualServer,
  type VirtualServerId,
} from './ipvs.ts'
import { virtualServerName } from './names.ts'
import { noIpvs } from './no-ipvs.ts'
import { changeRequest, readTimeouts, writeTimeouts } from './requests.ts'
import { readRealServer } from './server-wire.ts'
import { readVirtualServer, writeId } from './service-wire.ts'

export interface NetlinkIpvsOptions {
  /** Opens a socket of NETLINK_GENERIC. */
  readonly open?: () => Transport
  /** The file that is there when IPVS is. */
  readonly table?: string
}

/** A socket of NETLINK_GENERIC with room for large batches and their answers. */
export const openGeneric = (): Transport =>
  openTransport({ protocol: protocols.generic, sendBuffer: 1 << 18, receiveBuffer: 1 << 20 })

interface Session {
  readonly connection: Connection
  readonly families: GenericFamilies
}

/** {@link Ipvs} over generic netlink, in the network namespace in which its sockets are opened: when they are first needed. */
export class NetlinkIpvs implements Ipvs {
  readonly #open: () => Transport
  readonly #table: string
  #session: Session | undefined
  /** For listings, of which a socket can run one at a time. There may be one per virtual server, so it is kept. */
  #idle: Transport | undefined

  constructor({ open = openGeneric, table = '/proc/net/ip_vs' }: NetlinkIpvsOptions = {}) {
    this.#open = open
    this.#table = table
  }

  async loaded(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    // Asking for the family would load the module.
    const found = await access(this.#table).then(
      () => true,
      () => false,
    )
    signal.throwIfAborted()
    return found
  }

  async virtualServers(signal: AbortSignal): Promise<readonly ObservedVirtualServer[]> {
    const op = 'list virtual servers'
    const found: ObservedVirtualServer[] = []
    const request = (family: GenericFamily): Request => genericRequest(family, op, IPVS_CMD_GET_SERVICE)
    await this.#list(op, request, signal, (attributes) => {
      const server = readVirtualServer(attributes)
      if (server !== undefined) found.push(server)
    })
    return found
  }

  async realServers(id: VirtualServerId, signal: AbortSignal): Promise<readonly ObservedRealServer[]> {
    signal.throwIfAborted()
    const op = `list real servers of ${virtualServerName(id)}`
    const found: ObservedRealServer[] = []
    if (misfitOfId(id) !== undefined) return found
    const request = (family: GenericFamily): Request =>
      genericRequest(family, op, IPVS_CMD_GET_DEST, (writer) => writeId(writer, id))
    const family = familyOfServer(id)
    await this.#list(op, request, signal, (attributes) => {
      found.push(readRealServer(attributes, family))
    })
    return found
  }

  async apply(changes: readonly IpvsChange[], signal: AbortSignal): Promise<readonly IpvsRefusal[]> {
    signal.throwIfAborted()
    if (changes.length === 0) return []
    const family = this.#family('change virtual servers', signal)
    const requests = changes.map((change) => changeRequest(family, change))
    return throwIfDenied(await this.#sessionNow().connection.exchange(requests, signal))
  }

  async timeouts(signal: AbortSignal): Promise<IpvsTimeouts> {
    const op = 'read timeouts'
    const family = this.#family(op, signal)
    let found: IpvsTimeouts = { tcp: 0, tcpFin: 0, udp: 0 }
    const request = genericRequest(family, op, IPVS_CMD_GET_CONFIG)
    const onReply = (message: MessageReader): void => {
      found = readTimeouts(genericAttributes(message, family))
    }
    this.#sessionNow().connection.request(request, signal, onReply, 'reply')
    return found
  }

  async setTimeouts(timeouts: IpvsTimeouts, signal: AbortSignal): Promise<void> {
    const op = 'set timeouts'
    checkTimeouts(op, timeouts)
    const family = this.#family(op, signal)
    const request = genericRequest(family, op, IPVS_CMD_SET_CONFIG, (writer) => writeTimeouts(writer, timeouts))
    this.#sessionNow().connection.request(request, signal)
  }

  /** Gives the sockets back; another call opens them again. */
  close(): void {
    this.#session?.connection.close()
    this.#session = undefined
    this.#idle?.close()
    this.#idle = undefined
  }

  #sessionNow(): Session {
    if (this.#session === undefined) {
      const connection = new Connection(this.#open())
      this.#session = { connection, families: new GenericFamilies(connection) }
    }
    return this.#session
  }

  #family(op: string, signal: AbortSignal): GenericFamily {
    try {
      return this.#sessionNow().families.find(IPVS_GENL_NAME, signal)
    } catch (error) {
      throw error instanceof KernelError && error.code === 'notFound' ? noIpvs(op, error) : error
    }
  }

  /** No listing is refused with ENOENT but by generic netlink, when IPVS was unloaded and has another number now. */
  async #list(
    op: string,
    requestOf: (family: GenericFamily) => Request,
    signal: AbortSignal,
    onItem: (attributes: Reader) => void,
  ): Promise<void> {
    try {
      await this.#dump(op, requestOf, signal, onItem)
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'notFound') throw error
      this.#session?.families.forget(IPVS_GENL_NAME)
      await this.#dump(op, requestOf, signal, onItem)
    }
  }

  async #dump(
    op: string,
    requestOf: (family: GenericFamily) => Request,
    signal: AbortSignal,
    onItem: (attributes: Reader) => void,
  ): Promise<void> {
    const family = this.#family(op, signal)
    const transport = this.#idle ?? this.#open()
    this.#idle = undefined
    try {
      await dump(
        () => lend(transport),
        requestOf(family),
        (message) => onItem(genericAttributes(message, family)),
        signal,
      )
    } catch (error) {
      // It may be in the middle of the listing.
      transport.close()
      throw error
    }
    if (this.#idle === undefined && this.#session !== undefined) this.#idle = transport
    else transport.close()
  }
}

/** To someone who closes it when done. */
const lend = (transport: Transport): Transport => ({
  portId: transport.portId,
  send: (bytes) => transport.send(bytes),
  sendAsync: (bytes, signal) => transport.sendAsync(bytes, signal),
  receive: () => transport.receive(),
  join: (group) => transport.join(group),
  leave: (group) => transport.leave(group),
  close: () => {},
})

/** The table of the network namespace that this process is in. Opens nothing yet, so it never fails. */
export const openIpvs = (): NetlinkIpvs => new NetlinkIpvs()
