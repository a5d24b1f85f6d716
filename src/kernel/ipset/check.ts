import { IPSET_MAXNAMELEN } from './constants.ts'
import type { SetSpec } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'

/** The kernel would cut a name at a zero. */
export const checkName = (op: string, name: string): void => {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) >= IPSET_MAXNAMELEN)
    throw new IpsetError({ code: 'invalid', op, reason: `not a name of 1 to ${IPSET_MAXNAMELEN - 1} bytes` })
}

/** A power of two, and that many buckets fit into the kernel's 32 bits. */
const mostElements = 2 ** 31

export const checkSpec = (op: string, { name, type, maxElements, marks }: SetSpec): void => {
  checkName(op, name)
  if (marks && type !== 'hash:ip,port')
    throw new IpsetError({ code: 'invalid', op, reason: `a ${type} set with marks` })
  if (type === 'bitmap:port') return
  if (!Number.isInteger(maxElements) || maxElements < 1 || maxElements > mostElements)
    throw new IpsetError({ code: 'invalid', op, reason: `a set of at most ${maxElements} members` })
}

export const notMember = (op: string, member: string, type: string): IpsetError =>
  new IpsetError({ code: 'invalid', op, member, reason: `no member of a ${type} set` })
