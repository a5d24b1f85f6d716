import { errnoName, KernelError, type KernelErrorCode } from '../netlink/error.ts'
import { IPSET_ERR_PRIVATE, IPSET_ERR_TYPE_SPECIFIC } from './constants.ts'
import type { SetType } from './ipset.ts'
import { IpsetError, type IpsetErrorCode } from './ipset-error.ts'

interface Refusal {
  readonly name: string
  readonly code: IpsetErrorCode
  readonly reason: string
}

const refusal = (name: string, code: IpsetErrorCode, reason: string): Refusal => ({ name, code, reason })

export const noMarks = 'the set has no marks'

/** enum ipset_errno of linux/netfilter/ipset/ip_set.h, from IPSET_ERR_PRIVATE + 1 on. */
const common: readonly Refusal[] = [
  refusal('IPSET_ERR_PROTOCOL', 'invalid', 'the kernel does not understand the message'),
  refusal('IPSET_ERR_FIND_TYPE', 'unsupported', 'the kernel does not have this type of set'),
  refusal('IPSET_ERR_MAX_SETS', 'full', 'the kernel has as many sets as it can have'),
  refusal('IPSET_ERR_BUSY', 'busy', 'the set is in use'),
  // Only swap is sent, where it says that the second set is missing; rename means the opposite.
  refusal('IPSET_ERR_EXIST_SETNAME2', 'notFound', 'the second set does not exist'),
  refusal('IPSET_ERR_TYPE_MISMATCH', 'typeMismatch', 'the sets are of different types'),
  refusal('IPSET_ERR_EXIST', 'exists', 'the member is there already, or is not there'),
  refusal('IPSET_ERR_INVALID_CIDR', 'invalid', 'no network of this length'),
  refusal('IPSET_ERR_INVALID_NETMASK', 'invalid', 'no such netmask'),
  refusal('IPSET_ERR_INVALID_FAMILY', 'invalid', 'no such family'),
  refusal('IPSET_ERR_TIMEOUT', 'invalid', 'the set has no timeouts'),
  refusal('IPSET_ERR_REFERENCED', 'busy', 'the set is in use'),
  refusal('IPSET_ERR_IPADDR_IPV4', 'invalid', 'an IPv4 address is expected'),
  refusal('IPSET_ERR_IPADDR_IPV6', 'invalid', 'an IPv6 address is expected'),
  refusal('IPSET_ERR_COUNTER', 'invalid', 'the set has no counters'),
  refusal('IPSET_ERR_COMMENT', 'invalid', 'the set has no comments'),
  refusal('IPSET_ERR_INVALID_MARKMASK', 'invalid', 'no such mask of marks'),
  refusal('IPSET_ERR_SKBINFO', 'typeMismatch', noMarks),
]

/** linux/netfilter/ipset/ip_set_hash.h, from IPSET_ERR_TYPE_SPECIFIC on. */
const ofHashes: readonly Refusal[] = [
  refusal('IPSET_ERR_HASH_FULL', 'full', 'the set is full'),
  refusal('IPSET_ERR_HASH_ELEM', 'invalid', 'the set cannot hold this member'),
  refusal('IPSET_ERR_INVALID_PROTO', 'invalid', 'the set cannot hold this protocol'),
  refusal('IPSET_ERR_MISSING_PROTO', 'invalid', 'the protocol is missing'),
]

/** linux/netfilter/ipset/ip_set_bitmap.h, from IPSET_ERR_TYPE_SPECIFIC on. */
const ofBitmaps: readonly Refusal[] = [
  refusal('IPSET_ERR_BITMAP_RANGE', 'invalid', 'outside the range of the set'),
  refusal('IPSET_ERR_BITMAP_RANGE_SIZE', 'invalid', 'the range is too large'),
]

const describe = (errno: number, type: SetType | undefined): Refusal => {
  if (errno < IPSET_ERR_TYPE_SPECIFIC)
    return common[errno - IPSET_ERR_PRIVATE - 1] ?? refusal(`errno ${errno}`, 'io', 'unknown error of ipset')
  const specific = type === 'bitmap:port' ? ofBitmaps : ofHashes
  return specific[errno - IPSET_ERR_TYPE_SPECIFIC] ?? refusal(`errno ${errno}`, 'io', 'unknown error of this type')
}

const codes: Readonly<Record<KernelErrorCode, IpsetErrorCode>> = {
  permission: 'permission',
  notFound: 'notFound',
  exists: 'exists',
  busy: 'busy',
  overflow: 'io',
  interrupted: 'io',
  stale: 'io',
  unsupported: 'unsupported',
  invalid: 'invalid',
  tooLarge: 'invalid',
  missing: 'unsupported',
  malformed: 'io',
  io: 'io',
}

const reasons: Readonly<Partial<Record<KernelErrorCode, string>>> = {
  permission: 'not permitted',
  notFound: 'no such set',
  exists: 'there is a set of that name',
  busy: 'someone is reading the set',
}

export interface RefusalContext {
  readonly op: string
  /** Tells what the type's own errors mean. */
  readonly type?: SetType | undefined
  readonly member?: string | undefined
}

/** `error` in ipset's words when it is the kernel's, else as it is: reasons of aborted signals and errors made here. */
export const explain = (error: unknown, { op, type, member }: RefusalContext): unknown => {
  if (!(error instanceof KernelError)) return error
  if (error.errno !== undefined && error.errno > IPSET_ERR_PRIVATE) {
    const { code, name, reason } = describe(error.errno, type)
    return new IpsetError({ code, op, member, reason: `${reason} (${name})`, cause: error })
  }
  const detail = [error.errno === undefined ? undefined : errnoName(error.errno), error.detail]
  const said = detail.filter((part) => part !== undefined).join(': ')
  const words = reasons[error.code]
  const reason = words === undefined ? said || error.code : `${words} (${said})`
  return new IpsetError({ code: codes[error.code], op, member, reason, cause: error })
}
