import { protocolWord } from '../../../model/protocol.ts'
import { shortHash } from '../names.ts'
import { readSlot, type TreeShape } from './slot.ts'

/** XT_EXTENSION_MAXNAMELEN of linux/netfilter/x_tables.h, without the NUL. */
const maxLength = 28

/**
 * The name of the chain for all keys of a tree that begin with these digits, at least one. Only letters, digits, `.` and
 * `-`, so that `nft` can read the ruleset that it lists:
 *
 * - `WEIR-10.96.4.0-24`, `WEIR-fd00.10.96..1200-120`: addresses with this prefix. A colon is written as a dot.
 * - `WEIR-10.96.4.1-tcp`: one address and protocol. `WEIR-NP-tcp`: the protocol of a NodePort.
 * - `WEIR-NP-tcp-30720-8`: and the ports whose first 8 of 16 bits are those of 30720.
 * - `WEIR-X-` and a hash where that would be too long.
 */
export const chainName = (shape: TreeShape, digits: string): string => {
  const { address, protocol, port } = readSlot(shape, digits)
  const parts = [
    address === undefined ? 'NP' : address.ip.replaceAll(':', '.'),
    protocol === undefined ? address?.bits : protocolWord[protocol],
    ...(port === undefined ? [] : [port.first, port.bits]),
  ]
  const name = `WEIR-${parts.join('-')}`
  return name.length <= maxLength ? name : `WEIR-X-${shortHash(name)}`
}

const ports = '(?:tcp|udp|sctp)(?:-[0-9]{1,5}-[0-9]{1,2})?'
const treeChain = new RegExp(`^WEIR-(?:[0-9a-f.]+-(?:[0-9]{1,3}|${ports})|NP-${ports}|X-[A-Z2-7]{16})$`)

/** Whether a chain of table nat may be one of a tree, of any shape. */
export const isTreeChain = (name: string): boolean => name.length <= maxLength && treeChain.test(name)
