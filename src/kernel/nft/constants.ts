/** NFPROTO_* of linux/netfilter.h, by nft's names of the table families. */
export const familyNumber = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const
export type TableFamily = keyof typeof familyNumber

const familyNames = new Map(Object.entries(familyNumber).map(([name, number]) => [number, name as TableFamily]))
/** Undefined for a family that this list does not know. */
export const familyName = (number: number): TableFamily | undefined => familyNames.get(number as 1)

export const NFNL_MSG_BATCH_BEGIN = 0x10
export const NFNL_MSG_BATCH_END = 0x11
export const NFNL_SUBSYS_NFTABLES = 10
export const NFNLGRP_NFTABLES = 7
/** nfgenmsg: family u8, version u8, res_id u16 in network order. */
export const NFGENMSG_LEN = 4

const subsystem = NFNL_SUBSYS_NFTABLES << 8
export const NFT_MSG_NEWTABLE = subsystem | 0
export const NFT_MSG_GETTABLE = subsystem | 1
export const NFT_MSG_DELTABLE = subsystem | 2
export const NFT_MSG_NEWCHAIN = subsystem | 3
export const NFT_MSG_GETCHAIN = subsystem | 4
export const NFT_MSG_DELCHAIN = subsystem | 5
export const NFT_MSG_NEWRULE = subsystem | 6
export const NFT_MSG_GETRULE = subsystem | 7
export const NFT_MSG_DELRULE = subsystem | 8
export const NFT_MSG_NEWSET = subsystem | 9
export const NFT_MSG_GETSET = subsystem | 10
export const NFT_MSG_DELSET = subsystem | 11
export const NFT_MSG_NEWSETELEM = subsystem | 12
export const NFT_MSG_GETSETELEM = subsystem | 13
export const NFT_MSG_DELSETELEM = subsystem | 14
export const NFT_MSG_NEWGEN = subsystem | 15
export const NFT_MSG_GETGEN = subsystem | 16

export const NFTA_LIST_ELEM = 1

export const NFTA_TABLE_NAME = 1
export const NFTA_TABLE_HANDLE = 4
export const NFTA_TABLE_USERDATA = 6

export const NFTA_CHAIN_TABLE = 1
export const NFTA_CHAIN_HANDLE = 2
export const NFTA_CHAIN_NAME = 3
export const NFTA_CHAIN_HOOK = 4
export const NFTA_CHAIN_USE = 6
export const NFTA_CHAIN_USERDATA = 12

export const NFTA_RULE_TABLE = 1
export const NFTA_RULE_CHAIN = 2
export const NFTA_RULE_HANDLE = 3
export const NFTA_RULE_EXPRESSIONS = 4
export const NFTA_RULE_USERDATA = 7

export const NFTA_SET_TABLE = 1
export const NFTA_SET_NAME = 2
export const NFTA_SET_FLAGS = 3
export const NFTA_SET_KEY_LEN = 5
export const NFTA_SET_DATA_TYPE = 6
export const NFTA_SET_DATA_LEN = 7
export const NFTA_SET_TIMEOUT = 11
export const NFTA_SET_USERDATA = 13
export const NFTA_SET_HANDLE = 16
export const NFT_SET_ANONYMOUS = 0x1
export const NFT_SET_INTERVAL = 0x4
export const NFT_SET_MAP = 0x8
export const NFT_SET_TIMEOUT = 0x10
export const NFT_SET_EVAL = 0x20
export const NFT_SET_CONCAT = 0x80
/** DATA_TYPE of a verdict map. */
export const NFT_DATA_VERDICT = 0xffffff00

export const NFTA_SET_ELEM_LIST_TABLE = 1
export const NFTA_SET_ELEM_LIST_SET = 2
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3
export const NFTA_SET_ELEM_KEY = 1
export const NFTA_SET_ELEM_DATA = 2
export const NFTA_SET_ELEM_FLAGS = 3
export const NFTA_SET_ELEM_TIMEOUT = 4
export const NFTA_SET_ELEM_USERDATA = 6
export const NFTA_SET_ELEM_KEY_END = 10
/** Element flags. */
export const NFT_SET_ELEM_INTERVAL_END = 1
export const NFT_SET_ELEM_CATCHALL = 2

export const NFTA_DATA_VALUE = 1
export const NFTA_DATA_VERDICT = 2
export const NFTA_VERDICT_CODE = 1
export const NFTA_VERDICT_CHAIN = 2

export const NFTA_EXPR_NAME = 1
export const NFTA_EXPR_DATA = 2

export const NFTA_GEN_ID = 1

/** User data: u8 type, u8 length, value. The comment of tables, chains, rules and elements; sets have another number. */
export const UDATA_COMMENT = 0
export const UDATA_SET_COMMENT = 7
/** Bytes, without the NUL (NFTNL_UDATA_COMMENT_MAXLEN). */
export const commentLimit = 128
