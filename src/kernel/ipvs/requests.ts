import { assertNever } from '../../model/assert-never.ts'
import { type GenericFamily, genericRequest } from '../netlink/generic.ts'
import type { Request } from '../netlink/request.ts'
import type { Reader, Writer } from '../netlink/wire.ts'
import { checkChange } from './check.ts'
import {
  IPVS_CMD_ATTR_TIMEOUT_TCP,
  IPVS_CMD_ATTR_TIMEOUT_TCP_FIN,
  IPVS_CMD_ATTR_TIMEOUT_UDP,
  IPVS_CMD_DEL_DEST,
  IPVS_CMD_DEL_SERVICE,
  IPVS_CMD_NEW_DEST,
  IPVS_CMD_NEW_SERVICE,
  IPVS_CMD_SET_DEST,
  IPVS_CMD_SET_SERVICE,
} from './constants.ts'
import type { IpvsChange, IpvsTimeouts } from './ipvs.ts'
import { changeLine } from './names.ts'
import { writeRealServer, writeRealServerId } from './server-wire.ts'
import { writeId, writeVirtualServer } from './service-wire.ts'

const commands = {
  addVirtualServer: IPVS_CMD_NEW_SERVICE,
  setVirtualServer: IPVS_CMD_SET_SERVICE,
  deleteVirtualServer: IPVS_CMD_DEL_SERVICE,
  addRealServer: IPVS_CMD_NEW_DEST,
  setRealServer: IPVS_CMD_SET_DEST,
  deleteRealServer: IPVS_CMD_DEL_DEST,
} as const satisfies Record<IpvsChange['kind'], number>

/** The words for errors are made when there is one: most changes are never spoken of. */
export const changeRequest = (family: GenericFamily, change: IpvsChange): Request => ({
  ...genericRequest(family, '', commands[change.kind], (writer) => writeChange(writer, change)),
  get op() {
    return changeLine(change)
  },
})

/** @throws KernelError for what has no encoding */
const writeChange = (writer: Writer, change: IpvsChange): void => {
  const unfit = checkChange(change)
  if (unfit !== undefined) throw unfit
  switch (change.kind) {
    case 'addVirtualServer':
    case 'setVirtualServer':
      writeVirtualServer(writer, change.server)
      break
    case 'deleteVirtualServer':
      writeId(writer, change.id)
      break
    case 'addRealServer':
    case 'setRealServer':
      writeId(writer, change.id)
      writeRealServer(writer, change.server)
      break
    case 'deleteRealServer':
      writeId(writer, change.id)
      writeRealServerId(writer, change.server)
      break
    default:
      assertNever(change, 'IPVS change')
  }
}

export const writeTimeouts = (writer: Writer, { tcp, tcpFin, udp }: IpvsTimeouts): void => {
  writer.u32host(IPVS_CMD_ATTR_TIMEOUT_TCP, tcp)
  writer.u32host(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, tcpFin)
  writer.u32host(IPVS_CMD_ATTR_TIMEOUT_UDP, udp)
}

/** Reads the attributes of an IPVS_CMD_SET_CONFIG. 0 for protocols that this kernel's IPVS was built without. */
export const readTimeouts = (attributes: Reader): IpvsTimeouts => {
  let [tcp, tcpFin, udp] = [0, 0, 0]
  while (attributes.next())
    if (attributes.type === IPVS_CMD_ATTR_TIMEOUT_TCP) tcp = attributes.u32host()
    else if (attributes.type === IPVS_CMD_ATTR_TIMEOUT_TCP_FIN) tcpFin = attributes.u32host()
    else if (attributes.type === IPVS_CMD_ATTR_TIMEOUT_UDP) udp = attributes.u32host()
  return { tcp, tcpFin, udp }
}
