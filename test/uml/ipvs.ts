import { IPVS_CMD_GET_DEST, IPVS_CMD_SET_CONFIG, IPVS_GENL_NAME } from '../../src/kernel/ipvs/constants.ts'
import {
  familyOfServer,
  type IpvsChange,
  type ObservedRealServer,
  type RealServer,
  type VirtualServerFlag,
  type VirtualServerId,
} from '../../src/kernel/ipvs/ipvs.ts'
import { changeRequest, writeTimeouts } from '../../src/kernel/ipvs/requests.ts'
import { readRealServer } from '../../src/kernel/ipvs/server-wire.ts'
import { writeId } from '../../src/kernel/ipvs/service-wire.ts'
import { Connection } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_DUMP, NLMSG_DONE, protocols } from '../../src/kernel/netlink/constants.ts'
import {
  GenericFamilies,
  type GenericFamily,
  genericAttributes,
  genericRequest,
} from '../../src/kernel/netlink/generic.ts'
import { encodeRequest } from '../../src/kernel/netlink/request.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import type { SchedulerFlag } from '../../src/model/scheduling.ts'

const kernelFlags = {
  'sh-fallback': 'sched1',
  'mh-fallback': 'sched1',
  'sh-port': 'sched2',
  'mh-port': 'sched2',
} as const satisfies Record<SchedulerFlag, VirtualServerFlag>

/** A real server, but for how packets reach it. */
export type Candidate = Omit<RealServer, 'forwarding'>

/** A real server as the kernel counts it. */
export type Counted = Pick<ObservedRealServer, 'ip' | 'port' | 'active' | 'inactive'>

/**
 * IPVS without a promise, for a program that goes step by step. All servers are forwarded to by direct routing.
 *
 * Every call throws KernelError.
 */
export class Ipvs {
  readonly #transport: Transport
  readonly #connection: Connection
  readonly #family: GenericFamily
  readonly #signal = new AbortController().signal

  constructor() {
    this.#transport = openTransport({ protocol: protocols.generic })
    this.#connection = new Connection(this.#transport)
    this.#family = new GenericFamilies(this.#connection).find(IPVS_GENL_NAME, this.#signal)
  }

  /** `notFound` when the kernel does not have the scheduler. */
  addService(id: VirtualServerId, scheduler: string, flags: readonly SchedulerFlag[]): void {
    this.#service('addVirtualServer', id, scheduler, flags)
  }

  /** Binds another scheduler to the servers that are there. */
  editService(id: VirtualServerId, scheduler: string, flags: readonly SchedulerFlag[]): void {
    this.#service('setVirtualServer', id, scheduler, flags)
  }

  add(id: VirtualServerId, server: Candidate): void {
    this.#change({ kind: 'addRealServer', id, server: { ...server, forwarding: 'direct' } })
  }

  edit(id: VirtualServerId, server: Candidate): void {
    this.#change({ kind: 'setRealServer', id, server: { ...server, forwarding: 'direct' } })
  }

  remove(id: VirtualServerId, server: Candidate): void {
    this.#change({ kind: 'deleteRealServer', id, server })
  }

  /** Seconds until a connection is forgotten: an established one, one in FIN_WAIT, one of UDP. For packets from now on. */
  setTimeouts(tcp: number, tcpFin: number, udp: number): void {
    const request = genericRequest(this.#family, 'set timeouts', IPVS_CMD_SET_CONFIG, (writer) =>
      writeTimeouts(writer, { tcp, tcpFin, udp }),
    )
    this.#connection.request(request, this.#signal)
  }

  /** The servers of a service in the kernel's order, with their connections at this moment. */
  count(id: VirtualServerId): readonly Counted[] {
    const request = genericRequest(this.#family, 'count', IPVS_CMD_GET_DEST, (writer) => writeId(writer, id))
    this.#transport.send(encodeRequest(request, NLM_F_DUMP, 0))
    const found: Counted[] = []
    for (let done = false; !done; ) {
      const datagram = this.#transport.receive()
      if (datagram === undefined) throw new Error('a dump of servers without an end')
      const messages = new MessageReader(datagram)
      while (messages.next()) {
        if (messages.type === NLMSG_DONE) done = true
        else if (messages.type === this.#family.id)
          found.push(readRealServer(genericAttributes(messages, this.#family), familyOfServer(id)))
      }
    }
    return found
  }

  #service(
    kind: 'addVirtualServer' | 'setVirtualServer',
    id: VirtualServerId,
    scheduler: string,
    flags: readonly SchedulerFlag[],
  ): void {
    const persistencePrefix = familyOfServer(id) === 'IPv4' ? 32 : 128
    const bits = flags.map((flag) => kernelFlags[flag])
    this.#change({ kind, server: { id, scheduler, flags: bits, persistenceSeconds: 0, persistencePrefix } })
  }

  #change(change: IpvsChange): void {
    this.#connection.request(changeRequest(this.#family, change), this.#signal)
  }
}
