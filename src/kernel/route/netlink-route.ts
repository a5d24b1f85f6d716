import { constants } from 'node:os'
import type { IP } from '../../model/ip.ts'
import { Connection, dump, type Request } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { MessageReader, Writer } from '../netlink/wire.ts'
import { byIndexAndAddress } from './address-list.ts'
import { addition, removal } from './address-request.ts'
import type {
  AddressChange,
  AddressRefusal,
  AddressWatch,
  InterfaceAddress,
  Link,
  LinkLoss,
  Route,
} from './interface-address.ts'
import { bringUpRequest, dummyRequest, namedLinkRequest, otherKind } from './link-request.ts'
import {
  ifaddrmsgLength,
  ifinfomsgLength,
  RTM_DELLINK,
  RTM_GETADDR,
  RTM_GETLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  readAddress,
  readLink,
} from './rtnetlink.ts'
import { watch } from './watch.ts'

const open = (): Transport => openTransport({ protocol: protocols.route, receiveBuffer: 1 << 20 })

/** {@link Route} over rtnetlink. A socket belongs to the network namespace it was opened in. */
export class NetlinkRoute implements Route {
  async listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]> {
    // Addresses first: an interface that is gone by the time of the second dump has taken its addresses with it.
    const found = await dumpAddresses(signal)
    const names = new Map((await dumpLinks(signal)).map(({ index, name }) => [index, name]))
    const addresses: InterfaceAddress[] = []
    for (const address of found) {
      const name = names.get(address.index)
      if (name !== undefined) addresses.push({ ...address, interface: name })
    }
    return addresses.sort(byIndexAndAddress)
  }

  watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    { onError = () => {} }: AddressWatch = {},
  ): Promise<readonly InterfaceAddress[]> {
    return watch((again) => this.listAddresses(again), onChange, signal, onError)
  }

  async watchLink(_name: string, _onLoss: (loss: LinkLoss) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
  }

  async listLinks(signal: AbortSignal): Promise<readonly Link[]> {
    return (await dumpLinks(signal)).sort((a, b) => a.index - b.index)
  }

  async findLink(name: string, signal: AbortSignal): Promise<Link | undefined> {
    let link: Link | undefined
    const found = ifThere(namedLinkRequest(RTM_GETLINK, name), signal, (message) => {
      if (message.type === RTM_NEWLINK) link = readLink(message)
    })
    return found ? link : undefined
  }

  async ensureDummy(name: string, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      try {
        once(dummyRequest(name), signal)
        return true
      } catch (error) {
        if (!(error instanceof KernelError) || error.code !== 'exists') throw error
      }
      const found = await this.findLink(name, signal)
      // Deleted since the kernel found it.
      if (found === undefined) continue
      if (found.kind !== 'dummy') throw otherKind(found)
      if (!found.up) once(bringUpRequest(found), signal)
      return false
    }
  }

  async changeAddresses(
    name: string,
    { add, remove }: AddressChange,
    signal: AbortSignal,
  ): Promise<readonly AddressRefusal[]> {
    const link = await this.findLink(name, signal)
    if (link === undefined) throw new KernelError({ code: 'notFound', op: `change addresses of ${name}` })
    const refusals: AddressRefusal[] = []
    const connection = new Connection(open())
    const each = (ips: readonly IP[], request: (ip: IP) => Request, done: number): void => {
      for (const ip of ips)
        try {
          connection.request(request(ip), signal)
        } catch (error) {
          if (!(error instanceof KernelError)) throw error
          if (error.errno === constants.errno.ENODEV) throw error
          if (error.errno !== done) refusals.push({ ip, error })
        }
    }
    try {
      each(remove, (ip) => removal(ip, link), constants.errno.EADDRNOTAVAIL)
      each(add, (ip) => addition(ip, link), constants.errno.EEXIST)
    } finally {
      connection.close()
    }
    return refusals
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<boolean> {
    return ifThere(namedLinkRequest(RTM_DELLINK, name), signal)
  }
}

const dumpAddresses = async (signal: AbortSignal): Promise<readonly Omit<InterfaceAddress, 'interface'>[]> => {
  const found: Omit<InterfaceAddress, 'interface'>[] = []
  const body = (writer: Writer): void => void writer.reserve(ifaddrmsgLength)
  await dump(
    open,
    { op: 'list addresses', type: RTM_GETADDR, body },
    (message) => {
      const address = message.type === RTM_NEWADDR ? readAddress(message) : undefined
      if (address !== undefined) found.push(address)
    },
    signal,
    { restart: () => found.splice(0) },
  )
  return found
}

const dumpLinks = async (signal: AbortSignal): Promise<Link[]> => {
  const links: Link[] = []
  const body = (writer: Writer): void => void writer.reserve(ifinfomsgLength)
  await dump(
    open,
    { op: 'list links', type: RTM_GETLINK, body },
    (message) => {
      const link = message.type === RTM_NEWLINK ? readLink(message) : undefined
      if (link !== undefined) links.push(link)
    },
    signal,
    { restart: () => links.splice(0) },
  )
  return links
}

const once = (request: Request, signal: AbortSignal, onReply?: (message: MessageReader) => void): void => {
  const connection = new Connection(open())
  try {
    connection.request(request, signal, onReply)
  } finally {
    connection.close()
  }
}

/** False when the kernel knows no such link. */
const ifThere = (...[request, signal, onReply]: Parameters<typeof once>): boolean => {
  try {
    once(request, signal, onReply)
    return true
  } catch (error) {
    if (error instanceof KernelError && error.code === 'notFound') return false
    throw error
  }
}
