import { Connection, dump } from '../netlink/connection.ts'
import { protocols } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import { openTransport, type Transport } from '../netlink/transport.ts'
import type { Writer } from '../netlink/wire.ts'
import type { InterfaceAddress, Link, Route } from './interface-address.ts'
import {
  IFLA_IFNAME,
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
    const names = await dumpLinkNames(signal)
    const addresses: InterfaceAddress[] = []
    for (const address of found) {
      const name = names.get(address.index)
      if (name !== undefined) addresses.push({ ...address, interface: name })
    }
    return addresses.sort((a, b) => a.index - b.index || (a.ip < b.ip ? -1 : 1))
  }

  watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    onError: (error: unknown) => void = () => {},
  ): Promise<readonly InterfaceAddress[]> {
    return watch((again) => this.listAddresses(again), onChange, signal, onError)
  }

  async findLink(name: string, signal: AbortSignal): Promise<Link | undefined> {
    let link: Link | undefined
    const found = linkRequest(RTM_GETLINK, name, signal, (message) => {
      if (message.type === RTM_NEWLINK) link = readLink(message)
    })
    return found ? link : undefined
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<boolean> {
    return linkRequest(RTM_DELLINK, name, signal)
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

const dumpLinkNames = async (signal: AbortSignal): Promise<ReadonlyMap<number, string>> => {
  const names = new Map<number, string>()
  const body = (writer: Writer): void => void writer.reserve(ifinfomsgLength)
  await dump(
    open,
    { op: 'list links', type: RTM_GETLINK, body },
    (message) => {
      const link = message.type === RTM_NEWLINK ? readLink(message) : undefined
      if (link !== undefined) names.set(link.index, link.name)
    },
    signal,
    { restart: () => names.clear() },
  )
  return names
}

/** A request about one link by name; false when the kernel knows no such link. */
const linkRequest = (
  type: number,
  name: string,
  signal: AbortSignal,
  onReply?: Parameters<Connection['request']>[2],
): boolean => {
  const op = `${type === RTM_DELLINK ? 'delete' : 'find'} link ${name}`
  const body = (writer: Writer): void => {
    writer.reserve(ifinfomsgLength)
    writer.string(IFLA_IFNAME, name)
  }
  const connection = new Connection(open())
  try {
    connection.request({ op, type, body }, signal, onReply)
    return true
  } catch (error) {
    if (error instanceof KernelError && error.code === 'notFound') return false
    throw error
  } finally {
    connection.close()
  }
}
