import { Connection } from '../../src/kernel/netlink/connection.ts'
import { NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, protocols } from '../../src/kernel/netlink/constants.ts'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader, Writer } from '../../src/kernel/netlink/wire.ts'
import { type Family, familyOf, type IP, readIP, writeIP } from '../../src/model/ip.ts'

/** linux/genetlink.h */
const GENL_ID_CTRL = 16
const CTRL_CMD_GETFAMILY = 3
const CTRL_ATTR_FAMILY_ID = 1
const CTRL_ATTR_FAMILY_NAME = 2
const GENL_HDRLEN = 4

/** linux/ip_vs.h: enum IPVS_CMD_*, IPVS_CMD_ATTR_*, IPVS_SVC_ATTR_*, IPVS_DEST_ATTR_* */
const cmd = { newService: 1, setService: 2, newDest: 5, setDest: 6, delDest: 7, getDest: 8, setConfig: 12 } as const
const attr = { service: 1, dest: 2, timeoutTcp: 4, timeoutFin: 5, timeoutUdp: 6 } as const
const svc = { af: 1, protocol: 2, addr: 3, port: 4, mark: 5, scheduler: 6, flags: 7, timeout: 8, netmask: 9 } as const
const dst = { addr: 1, port: 2, forward: 3, weight: 4, upper: 5, lower: 6, active: 7, inactive: 8 } as const
const IP_VS_CONN_F_DROUTE = 3
const schedulerFlagBits = { 'sh-fallback': 0x8, 'mh-fallback': 0x8, 'sh-port': 0x10, 'mh-port': 0x10 } as const
const AF = { IPv4: 2, IPv6: 10 } as const

export type ServiceFlag = keyof typeof schedulerFlagBits

/** A service is what has this address, protocol and port, or this firewall mark. */
export type ServiceKey =
  | { readonly kind: 'address'; readonly ip: IP; readonly protocol: 6 | 17; readonly port: number }
  | { readonly kind: 'mark'; readonly family: Family; readonly mark: number }

export interface RealServer {
  readonly ip: IP
  readonly port: number
  readonly weight: number
  readonly upperThreshold: number
  readonly lowerThreshold: number
}

/** A real server as the kernel counts it. */
export interface Counted {
  readonly ip: string
  readonly port: number
  readonly active: number
  readonly inactive: number
}

/** IPVS over generic netlink, as far as judging schedulers takes. All servers are forwarded to by direct routing. */
export class Ipvs {
  readonly #transport: Transport
  readonly #connection: Connection
  readonly #type: number
  readonly #signal = new AbortController().signal

  constructor() {
    this.#transport = openTransport({ protocol: protocols.generic })
    this.#connection = new Connection(this.#transport)
    this.#type = this.#familyId()
  }

  /** @throws KernelError `notFound` when the kernel does not have the scheduler */
  addService(key: ServiceKey, scheduler: string, flags: readonly ServiceFlag[]): void {
    this.#service(cmd.newService, key, scheduler, flags)
  }

  /** Binds another scheduler to the servers that are there. */
  editService(key: ServiceKey, scheduler: string, flags: readonly ServiceFlag[]): void {
    this.#service(cmd.setService, key, scheduler, flags)
  }

  add(key: ServiceKey, server: RealServer): void {
    this.#server('add server', cmd.newDest, key, server)
  }

  edit(key: ServiceKey, server: RealServer): void {
    this.#server('edit server', cmd.setDest, key, server)
  }

  remove(key: ServiceKey, server: RealServer): void {
    this.#server('remove server', cmd.delDest, key, server)
  }

  /** Seconds until a connection is forgotten: an established one, one in FIN_WAIT, one of UDP. For packets from now on. */
  setTimeouts(established: number, finWait: number, udp: number): void {
    this.#request('set timeouts', cmd.setConfig, (writer) => {
      writer.u32host(attr.timeoutTcp, established)
      writer.u32host(attr.timeoutFin, finWait)
      writer.u32host(attr.timeoutUdp, udp)
    })
  }

  /** The servers of a service in the kernel's order, with their connections at this moment. */
  count(key: ServiceKey): readonly Counted[] {
    const family = key.kind === 'mark' ? key.family : familyOf(key.ip)
    const writer = new Writer(128)
    const message = writer.message(this.#type, NLM_F_REQUEST | NLM_F_DUMP, 0)
    writeHeader(writer, cmd.getDest)
    writeKey(writer, key)
    writer.endMessage(message)
    this.#transport.send(writer.finish())
    const found: Counted[] = []
    for (let done = false; !done; ) {
      const datagram = this.#transport.receive()
      if (datagram === undefined) throw new Error('a dump of servers without an end')
      const messages = new MessageReader(datagram)
      while (messages.next()) {
        if (messages.type === NLMSG_DONE) done = true
        else if (messages.type === this.#type) found.push(readServer(messages, family))
      }
    }
    return found
  }

  #familyId(): number {
    let id = 0
    const body = (writer: Writer): void => {
      writeHeader(writer, CTRL_CMD_GETFAMILY)
      writer.string(CTRL_ATTR_FAMILY_NAME, 'IPVS')
    }
    this.#connection.request({ op: 'find IPVS', type: GENL_ID_CTRL, body }, this.#signal, (message) => {
      const attributes = message.attributes(GENL_HDRLEN)
      while (attributes.next()) if (attributes.type === CTRL_ATTR_FAMILY_ID) id = attributes.u16host()
    })
    return id
  }

  #service(command: number, key: ServiceKey, scheduler: string, flags: readonly ServiceFlag[]): void {
    const bits = flags.reduce((known, flag) => known | schedulerFlagBits[flag], 0)
    this.#request(`service with ${scheduler}`, command, (writer) =>
      writeKey(writer, key, () => {
        writer.string(svc.scheduler, scheduler)
        // Values and the mask of those that count, both in host order.
        writer.value(svc.flags, new Uint8Array(Uint32Array.of(bits, 0xffffffff).buffer))
        writer.u32host(svc.timeout, 0)
        if (isIPv4(key)) writer.u32be(svc.netmask, 0xffffffff)
        else writer.u32host(svc.netmask, 128)
      }),
    )
  }

  #server(op: string, command: number, key: ServiceKey, server: RealServer): void {
    this.#request(op, command, (writer) => {
      writeKey(writer, key)
      const nest = writer.nest(attr.dest)
      const at = writer.attribute(dst.addr, 16)
      writeIP(server.ip, writer.bytes, at)
      writer.u16be(dst.port, server.port)
      writer.u32host(dst.forward, IP_VS_CONN_F_DROUTE)
      writer.u32host(dst.weight, server.weight)
      writer.u32host(dst.upper, server.upperThreshold)
      writer.u32host(dst.lower, server.lowerThreshold)
      writer.endNest(nest)
    })
  }

  #request(op: string, command: number, write: (writer: Writer) => void): void {
    const body = (writer: Writer): void => {
      writeHeader(writer, command)
      write(writer)
    }
    this.#connection.request({ op, type: this.#type, body }, this.#signal)
  }
}

const writeHeader = (writer: Writer, command: number): void => {
  const at = writer.reserve(GENL_HDRLEN)
  writer.view.setUint8(at, command)
  writer.view.setUint8(at + 1, 1)
}

const isIPv4 = (key: ServiceKey): boolean => (key.kind === 'mark' ? key.family === 'IPv4' : familyOf(key.ip) === 'IPv4')

const writeKey = (writer: Writer, key: ServiceKey, more: () => void = () => {}): void => {
  const nest = writer.nest(attr.service)
  writer.u16host(svc.af, isIPv4(key) ? AF.IPv4 : AF.IPv6)
  if (key.kind === 'mark') writer.u32host(svc.mark, key.mark)
  else {
    writer.u16host(svc.protocol, key.protocol)
    const at = writer.attribute(svc.addr, 16)
    writeIP(key.ip, writer.bytes, at)
    writer.u16be(svc.port, key.port)
  }
  more()
  writer.endNest(nest)
}

const readServer = (message: MessageReader, family: Family): Counted => {
  const found = { ip: '', port: 0, active: 0, inactive: 0 }
  const attributes = message.attributes(GENL_HDRLEN)
  while (attributes.next()) {
    if (attributes.type !== attr.dest) continue
    const server = attributes.nested()
    while (server.next()) {
      if (server.type === dst.addr) found.ip = readIP(family, server.value(), 0)
      else if (server.type === dst.port) found.port = server.u16be()
      else if (server.type === dst.active) found.active = server.u32host()
      else if (server.type === dst.inactive) found.inactive = server.u32host()
    }
  }
  return found
}
