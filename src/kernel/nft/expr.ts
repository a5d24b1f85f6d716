import type { Brand } from '../../model/brand.ts'
import { littleEndian } from '../netlink/wire.ts'
import type { Verdict } from './verdict.ts'

/** A register as the kernel numbers it (enum nft_registers, linux/netfilter/nf_tables.h). */
export type Register = Brand<number, 'Register'>

/**
 * The register that begins at one of the sixteen four-byte slots (0 to 15). A value of several slots lies in consecutive
 * ones: a concatenation is loaded part by part, an IPv6 address takes four. Where a slot begins a 16-byte register, its
 * old number (1 to 4) is used, as nft does.
 */
export const register = (slot: number): Register => {
  if (!Number.isInteger(slot) || slot < 0 || slot > 15) throw new RangeError(`register slot ${slot}`)
  return (slot % 4 === 0 ? 1 + slot / 4 : 8 + slot) as Register
}

/** Network addresses by where they stand in the IP header: the families that nat and payload tell apart. */
export type IPFamily = 'ip' | 'ip6'

export type MetaKey = 'mark' | 'iif' | 'oif' | 'iifname' | 'oifname' | 'nfproto' | 'l4proto' | 'pkttype'
export type CtKey =
  | 'state'
  | 'direction'
  | 'status'
  | 'mark'
  | 'protocol'
  | 'proto-src'
  | 'proto-dst'
  | 'ip saddr'
  | 'ip daddr'
  | 'ip6 saddr'
  | 'ip6 daddr'
export type CmpOp = 'eq' | 'neq' | 'lt' | 'lte' | 'gt' | 'gte'
export type RejectKind = 'icmp' | 'tcp-reset' | 'icmpx'

/**
 * One expression of a rule: what an nft statement is made of. A load that cannot be done (no such header) ends the rule
 * like a comparison that does not hold.
 */
export type Expr =
  | {
      readonly kind: 'payload'
      readonly base: 'link' | 'network' | 'transport'
      readonly offset: number
      readonly length: number
      readonly to: Register
    }
  | { readonly kind: 'meta'; readonly key: MetaKey; readonly to: Register }
  | { readonly kind: 'metaSet'; readonly key: MetaKey; readonly from: Register }
  | {
      readonly kind: 'ct'
      readonly key: CtKey
      readonly direction: 'original' | 'reply' | undefined
      readonly to: Register
    }
  | { readonly kind: 'cmp'; readonly op: CmpOp; readonly from: Register; readonly value: Uint8Array }
  | {
      readonly kind: 'bitwise'
      readonly from: Register
      readonly to: Register
      readonly mask: Uint8Array
      readonly xor: Uint8Array
    }
  | {
      readonly kind: 'lookup'
      readonly set: string
      readonly from: Register
      /** undefined = membership only; 'verdict' = a verdict map. */
      readonly to: Register | 'verdict' | undefined
      readonly inverted: boolean
    }
  | { readonly kind: 'immediate'; readonly to: Register; readonly value: Uint8Array }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | {
      readonly kind: 'numgen'
      readonly mode: 'inc' | 'random'
      readonly modulus: number
      readonly offset: number
      readonly to: Register
    }
  | {
      readonly kind: 'jhash'
      readonly from: Register
      readonly length: number
      readonly modulus: number
      readonly seed: number
      readonly offset: number
      readonly to: Register
    }
  | {
      readonly kind: 'dnat' | 'snat'
      readonly family: IPFamily
      readonly address: Register
      readonly port: Register | undefined
    }
  | { readonly kind: 'masquerade'; readonly fullyRandom: boolean }
  | { readonly kind: 'reject'; readonly how: RejectKind; readonly code: number }
  | { readonly kind: 'fibType'; readonly of: 'saddr' | 'daddr'; readonly to: Register }
  | {
      readonly kind: 'dynset'
      readonly op: 'add' | 'update' | 'delete'
      readonly set: string
      readonly key: Register
      readonly data: Register | undefined
      /** undefined = the set's own. */
      readonly timeoutMs: number | undefined
    }
  | { readonly kind: 'counter' }

/** Loads `length` bytes at `offset` of a header. */
export const payload = (
  base: 'link' | 'network' | 'transport',
  offset: number,
  length: number,
  to: Register,
): Expr => ({
  kind: 'payload',
  base,
  offset,
  length,
  to,
})

/** Source address of the IP header: one slot, or four for ip6. */
export const loadSaddr = (family: IPFamily, to: Register): Expr =>
  family === 'ip' ? payload('network', 12, 4, to) : payload('network', 8, 16, to)
/** Destination address of the IP header: one slot, or four for ip6. */
export const loadDaddr = (family: IPFamily, to: Register): Expr =>
  family === 'ip' ? payload('network', 16, 4, to) : payload('network', 24, 16, to)
/** `th sport`, in network order. */
export const loadSport = (to: Register): Expr => payload('transport', 0, 2, to)
/** `th dport`, in network order. */
export const loadDport = (to: Register): Expr => payload('transport', 2, 2, to)

export const meta = (key: MetaKey, to: Register): Expr => ({ kind: 'meta', key, to })
export const metaSet = (key: MetaKey, from: Register): Expr => ({ kind: 'metaSet', key, from })
/** Keys that name a tuple's part need a direction; the others must not have one. */
export const ct = (key: CtKey, to: Register, direction?: 'original' | 'reply'): Expr => ({
  kind: 'ct',
  key,
  direction,
  to,
})
/** Compares as many bytes as `value` has, as one big-endian number. */
export const cmp = (op: CmpOp, from: Register, value: Uint8Array): Expr => ({ kind: 'cmp', op, from, value })
/** to = (from & mask) ^ xor. */
export const bitwise = (from: Register, to: Register, mask: Uint8Array, xor: Uint8Array): Expr => ({
  kind: 'bitwise',
  from,
  to,
  mask,
  xor,
})
/** Goes on if the key that begins at `from` is in `set`, or if it is not. */
export const member = (set: string, from: Register, inverted = false): Expr => ({
  kind: 'lookup',
  set,
  from,
  to: undefined,
  inverted,
})
/** Loads the data of the key that begins at `from`; no such key ends the rule. */
export const mapTo = (map: string, from: Register, to: Register): Expr => ({
  kind: 'lookup',
  set: map,
  from,
  to,
  inverted: false,
})
/** Does what the verdict map says of the key that begins at `from`. */
export const vmap = (map: string, from: Register): Expr => ({
  kind: 'lookup',
  set: map,
  from,
  to: 'verdict',
  inverted: false,
})
export const immediate = (to: Register, value: Uint8Array): Expr => ({ kind: 'immediate', to, value })
export const verdict = (what: Verdict): Expr => ({ kind: 'verdict', verdict: what })
export const jump = (chain: string): Expr => verdict({ kind: 'jump', chain })
export const goTo = (chain: string): Expr => verdict({ kind: 'goto', chain })
export const drop: Expr = verdict({ kind: 'drop' })
export const accept: Expr = verdict({ kind: 'accept' })
export const returnFromChain: Expr = verdict({ kind: 'return' })
/** A number in host order from `offset` to `offset + modulus - 1`. */
export const numgen = (mode: 'inc' | 'random', modulus: number, to: Register, offset = 0): Expr => ({
  kind: 'numgen',
  mode,
  modulus,
  offset,
  to,
})
/** Jenkins hash of `length` bytes, as a number in host order from `offset` to `offset + modulus - 1`. */
export const jhash = (
  from: Register,
  length: number,
  modulus: number,
  seed: number,
  to: Register,
  offset = 0,
): Expr => ({ kind: 'jhash', from, length, modulus, seed, offset, to })
export const dnat = (family: IPFamily, address: Register, port?: Register): Expr => ({
  kind: 'dnat',
  family,
  address,
  port,
})
export const snat = (family: IPFamily, address: Register, port?: Register): Expr => ({
  kind: 'snat',
  family,
  address,
  port,
})
export const masquerade = (fullyRandom: boolean): Expr => ({ kind: 'masquerade', fullyRandom })
/**
 * `icmp`: `code` is ICMP's or ICMPv6's own, by the table's family; `icmpx`: NFT_REJECT_ICMPX_*; `tcp-reset` ignores it.
 * What nft means by a bare `reject` is port unreachable: {@link rejectPort}.
 */
export const reject = (how: RejectKind, code: number): Expr => ({ kind: 'reject', how, code })
/** ICMP port unreachable (code 3) or ICMPv6 port unreachable (code 4). */
export const rejectPort = (family: IPFamily): Expr => reject('icmp', family === 'ip' ? 3 : 4)
/** `fib saddr type` or `fib daddr type`: RTN_* in host order; RTN_LOCAL is 2. */
export const fibType = (of: 'saddr' | 'daddr', to: Register): Expr => ({ kind: 'fibType', of, to })
export const RTN_LOCAL = 2
/** Writes the key that begins at `key` (and the data that begins at `data`) to a set with the flag `dynamic`. */
export const dynset = (
  op: 'add' | 'update' | 'delete',
  set: string,
  key: Register,
  data?: Register,
  timeoutMs?: number,
): Expr => ({ kind: 'dynset', op, set, key, data, timeoutMs })
export const counter: Expr = { kind: 'counter' }

/** Conntrack state bits, for `ct('state')`. */
export const ctState = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const
/** Conntrack status bits, for `ct('status')`. */
export const ctStatus = { snat: 0x10, dnat: 0x20 } as const

/** Four bytes in host order, as marks, ct bits, interface indexes and numgen results are. */
export const hostU32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, littleEndian)
  return bytes
}

/** Two bytes in network order, as ports are. */
export const netU16 = (value: number): Uint8Array => Uint8Array.of((value >> 8) & 0xff, value & 0xff)

/** An interface name for comparison: sixteen bytes, or just the given ones when it is a prefix. */
export const interfaceName = (name: string, match: 'exact' | 'prefix' = 'exact'): Uint8Array => {
  const encoded = new TextEncoder().encode(name)
  if (match === 'prefix') return encoded
  const bytes = new Uint8Array(16)
  bytes.set(encoded.subarray(0, 15))
  return bytes
}
