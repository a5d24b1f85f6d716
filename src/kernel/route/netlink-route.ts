import { constants } from 'node:os'
import { Connection } from '../netlink/connection.ts'
import { dump } from '../netlink/dump.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { littleEndian, type MessageReader, type Writer } from '../netlink/wire.ts'
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
import { bringUpRequest, dummyRequest, indexedLinkRequest, namedLinkRequest, otherKind } from './link-request.ts'
import { openRoute } from './open-route.ts'
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
import { untilLocal } from './until-local.ts'
import { AddressWatcher } from './watch-addresses.ts'
import { watchLink } from './watch-link.ts'

const { EADDRNOTAVAIL, EEXIST, ENODEV } = constants.errno

/** {@link Route} over rtnetlink. A socket belongs to the network namespace it was opened in. */
export class NetlinkRoute implements Route {
  async listAddresses(signal: AbortSignal): Promise<readonly InterfaceAddress[]> {
    return [...(await readAll(signal)).values()].flat().sort(byIndexAndAddress)
  }

  watchAddresses(
    onChange: (addresses: readonly InterfaceAddress[]) => void,
    signal: AbortSignal,
    options: AddressWatch = {},
  ): Promise<readonly InterfaceAddress[]> {
    const reader = {
      all: readAll,
      linkOf: async (index: number) => readOneLink(indexedLinkRequest(index), signal),
      addressesOf: readAddressesOf,
    }
    return new AddressWatcher(reader, onChange, signal, options).start()
  }

  async watchLink(name: string, onLoss: (loss: LinkLoss) => void, signal: AbortSignal): Promise<void> {
    watchLink(name, () => readOneLink(namedLinkRequest(RTM_GETLINK, name), signal), onLoss, signal)
  }

  async listLinks(signal: AbortSignal): Promise<readonly Link[]> {
    return (await dumpLinks(signal)).sort((a, b) => a.index - b.index)
  }

  async findLink(name: string, signal: AbortSignal): Promise<Link | undefined> {
    return readOneLink(namedLinkRequest(RTM_GETLINK, name), signal)
  }

  async deleteLink(name: string, signal: AbortSignal): Promise<boolean> {
    return ifThere(namedLinkRequest(RTM_DELLINK, name), signal)
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
      if (found !== undefined && found.kind !== 'dummy') throw otherKind(found)
      if (found?.up || (found !== undefined && ifThere(bringUpRequest(found), signal))) return false
      // Deleted since the kernel refused to make another.
    }
  }

  async changeAddresses(
    name: string,
    { add, remove, purpose }: AddressChange,
    signal: AbortSignal,
  ): Promise<readonly AddressRefusal[]> {
    signal.throwIfAborted()
    const connection = new Connection(openRoute())
    try {
      const link = findIn(connection, namedLinkRequest(RTM_GETLINK, name), signal)
      if (link === undefined) throw noLink(name)
      const changes = [...remove.map((ip) => removal(ip, link)), ...add.map((ip) => addition(ip, link, purpose))]
      const refusals: AddressRefusal[] = []
      for (const { index, error } of await connection.exchange(changes, signal)) {
        if (error.errno === ENODEV) throw noLink(name, error)
        const isAddition = index >= remove.length
        if (error.errno === (isAddition ? EEXIST : EADDRNOTAVAIL)) continue
        const ip = isAddition ? add[index - remove.length] : remove[index]
        if (ip !== undefined) refusals.push({ ip, error })
      }
      const refused = new Set(refusals.map(({ ip }) => ip))
      if (link.up)
        await untilLocal(
          connection,
          add.filter((ip) => !refused.has(ip)),
          signal,
        )
      return refusals
    } finally {
      connection.close()
    }
  }
}

const noLink = (name: string, cause?: KernelError): KernelError =>
  new KernelError({ code: 'notFound', op: `change addresses of ${name}`, errno: ENODEV, cause })

/** Every interface with its addresses. */
const readAll = async (signal: AbortSignal): Promise<Map<Link, InterfaceAddress[]>> => {
  // Addresses first: an interface that is gone by the time of the second dump has taken its addresses with it.
  const found = await dumpAddresses(0, signal)
  const links = new Map((await dumpLinks(signal)).map((link) => [link.index, link]))
  const all = new Map([...links.values()].map((link): [Link, InterfaceAddress[]] => [link, []]))
  for (const address of found) {
    const link = links.get(address.index)
    if (link !== undefined) all.get(link)?.push({ ...address, interface: link.name })
  }
  return all
}

const readAddressesOf = async (link: Link, signal: AbortSignal): Promise<readonly InterfaceAddress[]> => {
  try {
    const found = await dumpAddresses(link.index, signal)
    return found.map((address) => ({ ...address, interface: link.name }))
  } catch (error) {
    if (error instanceof KernelError && error.errno === ENODEV) return []
    throw error
  }
}

type Nameless = Omit<InterfaceAddress, 'interface'>

/** Of one interface, or of all with index 0. */
const dumpAddresses = async (index: number, signal: AbortSignal): Promise<readonly Nameless[]> => {
  const found: Nameless[] = []
  const body = (writer: Writer): void => {
    const at = writer.reserve(ifaddrmsgLength)
    writer.view.setInt32(at + 4, index, littleEndian)
  }
  await dump(
    openRoute,
    { op: 'list addresses', type: RTM_GETADDR, body },
    (message) => {
      const address = message.type === RTM_NEWADDR ? readAddress(message) : undefined
      // Kernels that do not filter answer with all.
      if (address !== undefined && (index === 0 || address.index === index)) found.push(address)
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
    openRoute,
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

const withConnection = <T>(work: (connection: Connection) => T): T => {
  const connection = new Connection(openRoute())
  try {
    return work(connection)
  } finally {
    connection.close()
  }
}

const once = (request: Request, signal: AbortSignal): void =>
  withConnection((connection) => connection.request(request, signal))

/** False when the kernel knows no such link. */
const ifThere = (request: Request, signal: AbortSignal): boolean =>
  unlessMissing(() => {
    once(request, signal)
    return true
  }) ?? false

const readOneLink = (request: Request, signal: AbortSignal): Link | undefined =>
  withConnection((connection) => findIn(connection, request, signal))

const findIn = (connection: Connection, request: Request, signal: AbortSignal): Link | undefined =>
  unlessMissing(() => {
    let link: Link | undefined
    connection.request(request, signal, (message: MessageReader) => {
      if (message.type === RTM_NEWLINK) link = readLink(message)
    })
    return link
  })

const unlessMissing = <T>(work: () => T): T | undefined => {
  try {
    return work()
  } catch (error) {
    if (error instanceof KernelError && error.code === 'notFound') return undefined
    throw error
  }
}
