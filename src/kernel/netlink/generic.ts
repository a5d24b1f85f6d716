import type { Connection } from './connection.ts'
import { KernelError, malformed } from './error.ts'
import type { Request } from './request.ts'
import type { MessageReader, Reader, Writer } from './wire.ts'

/** linux/genetlink.h: the family that tells about families, and struct genlmsghdr. */
const GENL_ID_CTRL = 16
const GENL_HDRLEN = 4
const CTRL_CMD_NEWFAMILY = 1
const CTRL_CMD_GETFAMILY = 3
const CTRL_VERSION = 1
const CTRL_ATTR_FAMILY_ID = 1
const CTRL_ATTR_FAMILY_NAME = 2
const CTRL_ATTR_VERSION = 3
const CTRL_ATTR_HDRSIZE = 4
const CTRL_ATTR_MAXATTR = 5
const CTRL_ATTR_OPS = 6
const CTRL_ATTR_MCAST_GROUPS = 7
const CTRL_ATTR_OP_ID = 1
const CTRL_ATTR_OP_FLAGS = 2
const CTRL_ATTR_MCAST_GRP_NAME = 1
const CTRL_ATTR_MCAST_GRP_ID = 2

/** Bits of {@link GenericFamily.operations}. */
export const GENL_ADMIN_PERM = 0x01
export const GENL_CMD_CAP_DO = 0x02
export const GENL_CMD_CAP_DUMP = 0x04
export const GENL_CMD_CAP_HASPOL = 0x08
export const GENL_UNS_ADMIN_PERM = 0x10

/** A generic netlink family, as the running kernel numbers it. */
export interface GenericFamily {
  readonly name: string
  /** The type of its messages. */
  readonly id: number
  readonly version: number
  /** Bytes of its own header, between struct genlmsghdr and the attributes. */
  readonly headerSize: number
  /** The highest attribute it knows at the top level; 0 when it does not say. */
  readonly maxAttribute: number
  /** GENL_* bits by command. */
  readonly operations: ReadonlyMap<number, number>
  /** Numbers of multicast groups by name. */
  readonly groups: ReadonlyMap<string, number>
}

/** Which families the kernel has; each is asked for once. */
export class GenericFamilies {
  readonly #connection: Connection
  readonly #known = new Map<string, GenericFamily>()

  /** Of a socket of protocol NETLINK_GENERIC. */
  constructor(connection: Connection) {
    this.#connection = connection
  }

  /**
   * Loads the family's module if it can be loaded.
   *
   * @throws KernelError `notFound` when the kernel lacks it
   */
  find(name: string, signal: AbortSignal): GenericFamily {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const op = `find generic netlink family ${name}`
    const request: Request = { op, type: GENL_ID_CTRL, body: getFamilyBody(name) }
    let found: GenericFamily | undefined
    const onReply = (message: MessageReader): void => {
      found = readFamily(message)
    }
    this.#connection.request(request, signal, onReply, 'reply')
    if (found === undefined) throw new KernelError({ code: 'io', op, detail: 'no answer' })
    this.#known.set(name, found)
    return found
  }

  /** Its number is another one when its module was unloaded and loaded again: requests fail with `notFound` then. */
  forget(name: string): void {
    this.#known.delete(name)
  }
}

const genericHeader = (writer: Writer, command: number, version: number): void => {
  const at = writer.reserve(GENL_HDRLEN)
  writer.view.setUint8(at, command)
  writer.view.setUint8(at + 1, version)
}

const getFamilyBody =
  (name: string) =>
  (writer: Writer): void => {
    genericHeader(writer, CTRL_CMD_GETFAMILY, CTRL_VERSION)
    writer.string(CTRL_ATTR_FAMILY_NAME, name)
  }

/** A request to `family`; `body` writes what follows struct genlmsghdr: the family's own header, if any, and attributes. */
export const genericRequest = (
  family: GenericFamily,
  op: string,
  command: number,
  body: (writer: Writer) => void = () => {},
): Request => ({
  op,
  type: family.id,
  body: (writer) => {
    genericHeader(writer, command, family.version)
    body(writer)
  },
})

/** Of a reply or an event. */
export const genericCommand = (message: MessageReader): number => message.u8(0)

/** The attributes of a reply or an event of `family`. */
export const genericAttributes = (message: MessageReader, { headerSize }: Pick<GenericFamily, 'headerSize'>): Reader =>
  message.attributes(GENL_HDRLEN + headerSize)

/** @throws KernelError `malformed` when it is no answer to CTRL_CMD_GETFAMILY */
export const readFamily = (message: MessageReader): GenericFamily => {
  if (genericCommand(message) !== CTRL_CMD_NEWFAMILY) throw malformed('not a description of a family')
  let [name, id, version, headerSize, maxAttribute] = ['', 0, 0, 0, 0]
  const operations = new Map<number, number>()
  const groups = new Map<string, number>()
  const attributes = genericAttributes(message, { headerSize: 0 })
  while (attributes.next())
    switch (attributes.type) {
      case CTRL_ATTR_FAMILY_NAME:
        name = attributes.string()
        break
      case CTRL_ATTR_FAMILY_ID:
        id = attributes.u16host()
        break
      case CTRL_ATTR_VERSION:
        version = attributes.u32host()
        break
      case CTRL_ATTR_HDRSIZE:
        headerSize = attributes.u32host()
        break
      case CTRL_ATTR_MAXATTR:
        maxAttribute = attributes.u32host()
        break
      case CTRL_ATTR_OPS:
        readList(attributes, (item) => readOperation(item, operations))
        break
      case CTRL_ATTR_MCAST_GROUPS:
        readList(attributes, (item) => readGroup(item, groups))
        break
      default:
        break
    }
  if (name === '' || id === 0) throw malformed('family without a name or a number')
  return { name, id, version, headerSize, maxAttribute, operations, groups }
}

const readList = (list: Reader, read: (item: Reader) => void): void => {
  const items = list.nested()
  while (items.next()) read(items.nested())
}

const readOperation = (item: Reader, operations: Map<number, number>): void => {
  let [command, flags] = [0, 0]
  while (item.next())
    if (item.type === CTRL_ATTR_OP_ID) command = item.u32host()
    else if (item.type === CTRL_ATTR_OP_FLAGS) flags = item.u32host()
  operations.set(command, flags)
}

const readGroup = (item: Reader, groups: Map<string, number>): void => {
  let [name, number] = ['', 0]
  while (item.next())
    if (item.type === CTRL_ATTR_MCAST_GRP_NAME) name = item.string()
    else if (item.type === CTRL_ATTR_MCAST_GRP_ID) number = item.u32host()
  groups.set(name, number)
}
