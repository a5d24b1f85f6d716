/** linux/netfilter/nfnetlink.h */
const NFNL_SUBSYS_CTNETLINK = 1
const command = (number: number): number => (NFNL_SUBSYS_CTNETLINK << 8) | number

/** struct nfgenmsg */
export const NFGENMSG_LEN = 4

/** linux/netfilter.h */
export const NFPROTO_IPV4 = 2
export const NFPROTO_IPV6 = 10

/** linux/netfilter/nfnetlink_conntrack.h, as everything from here on. */
export const IPCTNL_MSG_CT_NEW = command(0)
export const IPCTNL_MSG_CT_GET = command(1)
export const IPCTNL_MSG_CT_DELETE = command(2)
export const IPCTNL_MSG_CT_GET_STATS_CPU = command(4)
export const IPCTNL_MSG_CT_GET_STATS = command(5)

/** Of a message. */
export const CTA_TUPLE_ORIG = 1
export const CTA_TUPLE_REPLY = 2
export const CTA_ID = 12
export const CTA_ZONE = 18
export const CTA_FILTER = 25

/** Of CTA_TUPLE_ORIG and CTA_TUPLE_REPLY. */
export const CTA_TUPLE_IP = 1
export const CTA_TUPLE_PROTO = 2
export const CTA_TUPLE_ZONE = 3

/** Of CTA_TUPLE_IP. */
export const CTA_IP_V4_SRC = 1
export const CTA_IP_V4_DST = 2
export const CTA_IP_V6_SRC = 3
export const CTA_IP_V6_DST = 4

/** Of CTA_TUPLE_PROTO. */
export const CTA_PROTO_NUM = 1
export const CTA_PROTO_SRC_PORT = 2
export const CTA_PROTO_DST_PORT = 3

/** Of CTA_FILTER: flag words, which unlike all else are in host order. */
export const CTA_FILTER_ORIG_FLAGS = 1
/** net/netfilter/nf_internals.h: CTA_FILTER_FLAG(CTA_PROTO_NUM) */
export const CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3

/** enum ctattr_stats_cpu, of IPCTNL_MSG_CT_GET_STATS_CPU. */
export const CTA_STATS_FOUND = 2
export const CTA_STATS_INVALID = 4
export const CTA_STATS_INSERT = 8
export const CTA_STATS_INSERT_FAILED = 9
export const CTA_STATS_DROP = 10
export const CTA_STATS_EARLY_DROP = 11
export const CTA_STATS_ERROR = 12
export const CTA_STATS_SEARCH_RESTART = 13
export const CTA_STATS_CLASH_RESOLVE = 14
export const CTA_STATS_CHAIN_TOOLONG = 15

/** enum ctattr_stats_global, of IPCTNL_MSG_CT_GET_STATS. */
export const CTA_STATS_GLOBAL_ENTRIES = 1
export const CTA_STATS_GLOBAL_MAX_ENTRIES = 2
