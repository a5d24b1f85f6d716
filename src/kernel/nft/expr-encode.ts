import { assertNever } from '../../model/assert-never.ts'
import type { Writer } from '../netlink/wire.ts'
import { familyNumber, NFTA_DATA_VALUE, NFTA_EXPR_DATA, NFTA_EXPR_NAME, NFTA_LIST_ELEM } from './constants.ts'
import type { CmpOp, CtKey, Expr, MetaKey, RejectKind } from './expr.ts'
import { writeVerdict } from './verdict.ts'

// linux/netfilter/nf_tables.h
const payloadBase = { link: 0, network: 1, transport: 2 } as const
const cmpOp: Readonly<Record<CmpOp, number>> = { eq: 0, neq: 1, lt: 2, lte: 3, gt: 4, gte: 5 }
const metaKey: Readonly<Record<MetaKey, number>> = {
  mark: 3,
  iif: 4,
  oif: 5,
  iifname: 6,
  oifname: 7,
  nfproto: 15,
  l4proto: 16,
  pkttype: 19,
}
const ctKey: Readonly<Record<CtKey, number>> = {
  state: 0,
  direction: 1,
  status: 2,
  mark: 3,
  protocol: 10,
  'proto-src': 11,
  'proto-dst': 12,
  'ip saddr': 19,
  'ip daddr': 20,
  'ip6 saddr': 21,
  'ip6 daddr': 22,
}
const ctDirection = { original: 0, reply: 1 } as const
const rejectType: Readonly<Record<RejectKind, number>> = { icmp: 0, 'tcp-reset': 1, icmpx: 2 }
const dynsetOp = { add: 0, update: 1, delete: 2 } as const
const numgenType = { inc: 0, random: 1 } as const
const natType = { snat: 0, dnat: 1 } as const
const NFT_HASH_JENKINS = 0
const NFT_REG_VERDICT = 0
const NFT_LOOKUP_F_INV = 1
const NFT_BITWISE_MASK_XOR = 0
const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 0x10
const NFT_FIB_RESULT_ADDRTYPE = 3
const fibFlag = { saddr: 1, daddr: 2 } as const

/** The kernel's name of each expression. */
const names = {
  payload: 'payload',
  meta: 'meta',
  metaSet: 'meta',
  ct: 'ct',
  cmp: 'cmp',
  bitwise: 'bitwise',
  lookup: 'lookup',
  immediate: 'immediate',
  verdict: 'immediate',
  numgen: 'numgen',
  jhash: 'hash',
  dnat: 'nat',
  snat: 'nat',
  masquerade: 'masq',
  reject: 'reject',
  fibType: 'fib',
  dynset: 'dynset',
  counter: 'counter',
} as const satisfies Record<Expr['kind'], string>

/** The content of NFTA_RULE_EXPRESSIONS. */
export const writeExpressions = (writer: Writer, expressions: readonly Expr[]): void => {
  for (const expression of expressions) {
    const element = writer.nest(NFTA_LIST_ELEM)
    writer.string(NFTA_EXPR_NAME, names[expression.kind])
    const data = writer.nest(NFTA_EXPR_DATA)
    writeData(writer, expression)
    writer.endNest(data)
    writer.endNest(element)
  }
}

const writeValue = (writer: Writer, type: number, value: Uint8Array): void => {
  const nest = writer.nest(type)
  writer.value(NFTA_DATA_VALUE, value)
  writer.endNest(nest)
}

/** Attribute numbers are those of the expression's own enum; their order is libnftnl's. */
const writeData = (writer: Writer, expr: Expr): void => {
  switch (expr.kind) {
    case 'payload':
      writer.u32be(1, expr.to)
      writer.u32be(2, payloadBase[expr.base])
      writer.u32be(3, expr.offset)
      writer.u32be(4, expr.length)
      return
    case 'meta':
      writer.u32be(2, metaKey[expr.key])
      writer.u32be(1, expr.to)
      return
    case 'metaSet':
      writer.u32be(2, metaKey[expr.key])
      writer.u32be(3, expr.from)
      return
    case 'ct':
      writer.u32be(2, ctKey[expr.key])
      writer.u32be(1, expr.to)
      if (expr.direction !== undefined) writer.u8(3, ctDirection[expr.direction])
      return
    case 'cmp':
      writer.u32be(1, expr.from)
      writer.u32be(2, cmpOp[expr.op])
      writeValue(writer, 3, expr.value)
      return
    case 'bitwise':
      writer.u32be(1, expr.from)
      writer.u32be(2, expr.to)
      writer.u32be(6, NFT_BITWISE_MASK_XOR)
      writer.u32be(3, expr.mask.length)
      writeValue(writer, 4, expr.mask)
      writeValue(writer, 5, expr.xor)
      return
    case 'lookup':
      writer.u32be(2, expr.from)
      if (expr.to !== undefined) writer.u32be(3, expr.to === 'verdict' ? NFT_REG_VERDICT : expr.to)
      writer.string(1, expr.set)
      if (expr.inverted) writer.u32be(5, NFT_LOOKUP_F_INV)
      return
    case 'immediate':
      writer.u32be(1, expr.to)
      writeValue(writer, 2, expr.value)
      return
    case 'verdict': {
      writer.u32be(1, NFT_REG_VERDICT)
      const nest = writer.nest(2)
      writeVerdict(writer, expr.verdict)
      writer.endNest(nest)
      return
    }
    case 'numgen':
      writer.u32be(1, expr.to)
      writer.u32be(2, expr.modulus)
      writer.u32be(3, numgenType[expr.mode])
      writer.u32be(4, expr.offset)
      return
    case 'jhash':
      writer.u32be(1, expr.from)
      writer.u32be(2, expr.to)
      writer.u32be(3, expr.length)
      writer.u32be(4, expr.modulus)
      writer.u32be(5, expr.seed)
      writer.u32be(6, expr.offset)
      writer.u32be(7, NFT_HASH_JENKINS)
      return
    case 'dnat':
    case 'snat':
      writer.u32be(1, natType[expr.kind])
      writer.u32be(2, familyNumber[expr.family])
      writer.u32be(3, expr.address)
      if (expr.port !== undefined) writer.u32be(5, expr.port)
      return
    case 'masquerade':
      if (expr.fullyRandom) writer.u32be(1, NF_NAT_RANGE_PROTO_RANDOM_FULLY)
      return
    case 'reject':
      writer.u32be(1, rejectType[expr.how])
      if (expr.how !== 'tcp-reset') writer.u8(2, expr.code)
      return
    case 'fibType':
      writer.u32be(3, fibFlag[expr.of])
      writer.u32be(2, NFT_FIB_RESULT_ADDRTYPE)
      writer.u32be(1, expr.to)
      return
    case 'dynset':
      writer.u32be(4, expr.key)
      if (expr.data !== undefined) writer.u32be(5, expr.data)
      writer.u32be(3, dynsetOp[expr.op])
      if (expr.timeoutMs !== undefined) writer.u64be(6, expr.timeoutMs)
      writer.string(1, expr.set)
      return
    case 'counter':
      return
    default:
      assertNever(expr, 'expression')
  }
}
