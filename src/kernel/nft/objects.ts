import type { TableFamily } from './constants.ts'

/** A table as it is named everywhere: the same name may exist once per family. */
export interface TableRef {
  readonly family: TableFamily
  readonly name: string
}

export interface TableInfo extends TableRef {
  readonly comment: string | undefined
  readonly handle: bigint
}

export interface ChainInfo {
  readonly name: string
  readonly comment: string | undefined
  readonly handle: bigint
  /** It has a hook: packets enter here. */
  readonly base: boolean
  /** How many rules and elements point to it, its own rules included. */
  readonly use: number
}

export interface SetInfo {
  readonly name: string
  readonly comment: string | undefined
  readonly handle: bigint
  /** NFT_SET_* bits of linux/netfilter/nf_tables.h: ANONYMOUS 1, INTERVAL 4, MAP 8, TIMEOUT 0x10, EVAL 0x20, CONCAT 0x80. */
  readonly flags: number
  /** Bytes of a key, each part of a concatenation padded to four. */
  readonly keyLength: number
  /** What elements carry: nothing, bytes, or a verdict. */
  readonly data: { readonly kind: 'none' | 'verdict' } | { readonly kind: 'value'; readonly length: number }
}

export interface RuleInfo {
  readonly chain: string
  readonly handle: bigint
  readonly comment: string | undefined
  /** The content of NFTA_RULE_EXPRESSIONS as the kernel writes it: a copy, good for comparing. */
  readonly expressions: Uint8Array
}
