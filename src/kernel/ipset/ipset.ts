import type { Family } from '../../model/ip.ts'
import type { Member } from './member.ts'

export const setTypes = ['hash:ip', 'hash:ip,port', 'hash:ip,port,ip', 'hash:ip,port,net', 'bitmap:port'] as const
/** The types that weir creates; others can only be listed, swapped and destroyed. */
export type SetType = (typeof setTypes)[number]

/** What a set is, without its members. */
export interface SetHeader {
  readonly name: string
  /** E.g. `hash:ip,port`. */
  readonly type: string
  /** Undefined for types that have none, as bitmap:port. */
  readonly family: Family | undefined
  /** Most members that a hash may have; undefined for other types. */
  readonly maxElements: number | undefined
  /**
   * What else it was made with, in the words of `ipset create`, sorted: `skbinfo`, `timeout`, `counters`,
   * `comment`, `forceadd`, `netmask`, `bitmask`, `markmask`, `range` (of a bitmap that does not span all ports), `flags 0x…`
   * for what has no name here.
   */
  readonly options: readonly string[]
  readonly entries: number
  /** Rules of either family, and list sets, that hold it. A held set cannot be destroyed. */
  readonly references: number
}

/** A set to be created. bitmap:port always spans 0-65535. */
export interface SetSpec {
  /** At most 31 bytes. */
  readonly name: string
  readonly type: SetType
  /** Ignored by bitmap:port. */
  readonly family: Family
  /**
   * Ignored by bitmap:port. The table of a hash is sized for that many at once. The kernel counts roughly: it takes a few
   * more when the table has more than 1024 buckets, or when members have been removed.
   */
  readonly maxElements: number
  /** Members can carry a packet mark (`ipset create … skbinfo`); only for hash:ip,port. */
  readonly marks?: true
}

/** The set whose members are meant: its type says how they look, and whether they are with their marks. */
export type SetRef = Pick<SetSpec, 'name' | 'type' | 'family' | 'marks'>

/**
 * The kernel's ipsets. Rejections are {@link IpsetError}, or the signal's reason; `unsupported` where the kernel has no
 * ipset, `typeMismatch` when the set that is there is not of the type and family that were named.
 */
export interface Ipset {
  /** Every set, foreign ones too. Empty where the kernel has no ipset. */
  list(signal: AbortSignal): Promise<readonly SetHeader[]>
  /** Fails with `exists` when there is a set of that name, whatever its type. */
  create(spec: SetSpec, signal: AbortSignal): Promise<void>
  /** A set that is gone already is no error; `busy` when rules still hold it, or someone is just reading it. */
  destroy(name: string, signal: AbortSignal): Promise<void>
  /**
   * Exchanges the contents of two sets of one type, whatever their options: rules that hold one go on with what was in the other, and the
   * references stay with the name. `busy` when someone keeps reading one of them.
   */
  swap(one: string, other: string, signal: AbortSignal): Promise<void>
  /** `busy` when rules hold the set, `exists` when there is a set of the new name. */
  rename(from: string, to: string, signal: AbortSignal): Promise<void>
  /** In no particular order, each once. What changes meanwhile may or may not be there. */
  members(set: SetRef, signal: AbortSignal): Promise<readonly Member[]>
  /**
   * In as few messages as it takes; nothing is sent for no members. What is there already is no error, and gets the mark
   * that it is given now, or none. `full` when there is no room; `typeMismatch` for a mark in a set without. Members before the one that an error names are in, those after it are not.
   */
  add(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void>
  /** As {@link Ipset.add}. What is gone already is no error; a mark makes no difference. */
  remove(set: SetRef, members: Iterable<Member>, signal: AbortSignal): Promise<void>
}
