/** linux/netlink.h */
export const protocols = { route: 0, netfilter: 12, generic: 16 } as const

export const NLM_F_REQUEST = 0x1
export const NLM_F_MULTI = 0x2
export const NLM_F_ACK = 0x4
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_DUMP = 0x300
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
/** On an error reply: the request is not echoed beyond its header. */
export const NLM_F_CAPPED = 0x100
/** On an error reply: extended ACK attributes follow. */
export const NLM_F_ACK_TLVS = 0x200

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_OVERRUN = 4

export const NLMSG_HDRLEN = 16
export const NLA_HDRLEN = 4
export const NLA_F_NESTED = 0x8000
/** Mask of the two flag bits in an attribute's type. */
export const NLA_TYPE_MASK = 0x3fff
/** An attribute's length field has 16 bits, its own header included. */
export const NLA_MAXLEN = 0xffff

export const NLMSGERR_ATTR_MSG = 1
export const NLMSGERR_ATTR_OFFS = 2
export const NLMSGERR_ATTR_MISS_TYPE = 5
