import {
  bitwise,
  cmp,
  fibType,
  hostU32,
  interfaceName,
  loadSaddr,
  meta,
  metaSet,
  RTN_LOCAL,
  register,
} from '../../kernel/nft/expr.ts'
import { assertNever } from '../../model/assert-never.ts'
import { byteMask, cidrAddress, cidrBits } from '../../model/cidr.ts'
import type { HostState } from '../../model/host.ts'
import { addressBytes, writeIP } from '../../model/ip.ts'
import type { Statement } from './rule.ts'
import { nftFamily } from './schema.ts'
import { podMatch, setMark } from './structure.ts'

const scratch = register(0)

/** The packet is to be masqueraded. */
export const markSource = (host: HostState): Statement => ({
  text: setMark(host),
  exprs: [
    meta('mark', scratch),
    bitwise(scratch, scratch, hostU32(~host.masqueradeMark >>> 0), hostU32(host.masqueradeMark)),
    metaSet('mark', scratch),
  ],
})

/** Sent by this node itself. */
export const fromNode: Statement = {
  text: 'fib saddr type local',
  exprs: [fibType('saddr', scratch), cmp('eq', scratch, hostU32(RTN_LOCAL))],
}

/** Sent by a pod; undefined when pods cannot be told. */
export const fromPods = ({ detector, family }: HostState): Statement | undefined => {
  const text = podMatch(detector, family)
  if (text === undefined) return undefined
  switch (detector.kind) {
    case 'none':
      return undefined
    case 'cidr': {
      const bytes = new Uint8Array(addressBytes(family))
      writeIP(cidrAddress(detector.cidr), bytes, 0)
      const mask = bytes.map((_, i) => byteMask(cidrBits(detector.cidr), i))
      const exprs = [
        loadSaddr(nftFamily(family), scratch),
        bitwise(scratch, scratch, mask, new Uint8Array(bytes.length)),
        cmp('eq', scratch, bytes),
      ]
      return { text, exprs }
    }
    case 'interface':
      return { text, exprs: [meta('iifname', scratch), cmp('eq', scratch, interfaceName(detector.name))] }
    case 'interfacePrefix':
      return { text, exprs: [meta('iifname', scratch), cmp('eq', scratch, interfaceName(detector.prefix, 'prefix'))] }
    default:
      return assertNever(detector, 'detector')
  }
}
