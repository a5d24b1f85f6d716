import { constants } from 'node:os'
import { assertNever } from '../../model/assert-never.ts'
import { maxBits } from '../../model/cidr.ts'
import { KernelError } from '../netlink/error.ts'
import {
  familyOfServer,
  type IpvsChange,
  type IpvsRefusal,
  type IpvsTimeouts,
  type RealServer,
  type VirtualServer,
  type VirtualServerId,
} from './ipvs.ts'
import { changeLine } from './names.ts'

const { EINVAL, ERANGE } = constants.errno

const u31 = 2 ** 31 - 1
const u32 = 2 ** 32 - 1
/** The kernel keeps ticks in 32 bits, of which a second has up to 1000 (CONFIG_HZ), and does not look for overflow. */
const mostSeconds = Math.floor(u32 / 1000)

/** What the kernel refuses, or what cannot be said to it without becoming something else. */
export const refusalOf = (change: IpvsChange, errno: number, detail?: string): KernelError =>
  KernelError.ofErrno(changeLine(change), errno, { detail })

/**
 * Refuses what has no encoding: a number that is too big for its field would arrive as another number. Everything else is
 * the kernel's to judge.
 */
export const checkChange = (change: IpvsChange): KernelError | undefined => {
  const wrong = misfit(change)
  if (wrong !== undefined) return refusalOf(change, EINVAL, wrong)
  const isServer = change.kind === 'addRealServer' || change.kind === 'setRealServer'
  return isServer ? checkLoad(change, change.server) : undefined
}

const misfit = (change: IpvsChange): string | undefined => {
  switch (change.kind) {
    case 'addVirtualServer':
    case 'setVirtualServer':
      return misfitOfId(change.server.id) ?? misfitOfShape(change.server)
    case 'deleteVirtualServer':
      return misfitOfId(change.id)
    case 'addRealServer':
    case 'setRealServer':
    case 'deleteRealServer':
      return misfitOfId(change.id) ?? (isUpTo(change.server.port, 0xffff) ? undefined : `port ${change.server.port}`)
    default:
      return assertNever(change, 'IPVS change')
  }
}

/** Mark 0 is that of every packet without one, and to the kernel the same as no mark. */
export const misfitOfId = (id: VirtualServerId): string | undefined => {
  if (id.kind === 'mark') return id.mark !== 0 && isUpTo(id.mark, u32) ? undefined : `mark ${id.mark}`
  return isUpTo(id.port, 0xffff) ? undefined : `port ${id.port}`
}

/** IP_VS_SCHEDNAME_MAXLEN of linux/ip_vs.h, without the final zero. */
const schedulerName = /^[!-~]{0,15}$/

const misfitOfShape = ({ id, scheduler, persistenceSeconds, persistencePrefix }: VirtualServer): string | undefined => {
  if (!schedulerName.test(scheduler)) return `scheduler ${scheduler}`
  if (!isUpTo(persistenceSeconds, mostSeconds)) return `persistence of ${persistenceSeconds} seconds`
  if (!isUpTo(persistencePrefix, maxBits(familyOfServer(id)))) return `persistence prefix ${persistencePrefix}`
  return undefined
}

const checkLoad = (
  change: IpvsChange,
  { weight, upperThreshold, lowerThreshold }: RealServer,
): KernelError | undefined => {
  if (!isUpTo(weight, u31)) return refusalOf(change, ERANGE, `weight ${weight}`)
  if (!isUpTo(upperThreshold, u31)) return refusalOf(change, ERANGE, `upper threshold ${upperThreshold}`)
  if (!isUpTo(lowerThreshold, u31)) return refusalOf(change, ERANGE, `lower threshold ${lowerThreshold}`)
  return undefined
}

/** IPVS refuses nothing but callers without CAP_NET_ADMIN in that way: it is not about any change. */
export const throwIfDenied = (refusals: readonly IpvsRefusal[]): readonly IpvsRefusal[] => {
  const denied = refusals.find(({ error }) => error.code === 'permission')
  if (denied !== undefined) throw denied.error
  return refusals
}

/** The kernel has its own, lower limit, which depends on its CONFIG_HZ. */
export const checkTimeouts = (op: string, { tcp, tcpFin, udp }: IpvsTimeouts): void => {
  const wrong = [tcp, tcpFin, udp].find((seconds) => !isUpTo(seconds, u31))
  if (wrong !== undefined) throw KernelError.ofErrno(op, EINVAL, { detail: `${wrong} seconds` })
}

const isUpTo = (value: number, most: number): boolean => Number.isInteger(value) && value >= 0 && value <= most
