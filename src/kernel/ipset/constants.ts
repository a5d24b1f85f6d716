/** linux/netfilter/nfnetlink.h */
const NFNL_SUBSYS_IPSET = 6
const command = (number: number): number => (NFNL_SUBSYS_IPSET << 8) | number

/** struct nfgenmsg */
export const NFGENMSG_LEN = 4

/** linux/netlink.h: on an attribute, "the value is in network byte order". ipset refuses numbers without it. */
export const NLA_F_NET_BYTEORDER = 0x4000

/** linux/netfilter/ipset/ip_set.h, as everything from here on. */
export const IPSET_PROTOCOL = 7
export const IPSET_PROTOCOL_MIN = 6
/** With the zero at the end. */
export const IPSET_MAXNAMELEN = 32

export const IPSET_CMD_PROTOCOL = command(1)
export const IPSET_CMD_CREATE = command(2)
export const IPSET_CMD_DESTROY = command(3)
export const IPSET_CMD_RENAME = command(5)
export const IPSET_CMD_SWAP = command(6)
export const IPSET_CMD_LIST = command(7)
export const IPSET_CMD_ADD = command(9)
export const IPSET_CMD_DEL = command(10)
export const IPSET_CMD_HEADER = command(12)
export const IPSET_CMD_TYPE = command(13)

/** Of a message. */
export const IPSET_ATTR_PROTOCOL = 1
export const IPSET_ATTR_SETNAME = 2
export const IPSET_ATTR_TYPENAME = 3
/** Of IPSET_CMD_SWAP and IPSET_CMD_RENAME. */
export const IPSET_ATTR_SETNAME2 = 3
export const IPSET_ATTR_REVISION = 4
export const IPSET_ATTR_FAMILY = 5
export const IPSET_ATTR_FLAGS = 6
export const IPSET_ATTR_DATA = 7
export const IPSET_ATTR_ADT = 8
export const IPSET_ATTR_LINENO = 9
/** Of the answer to IPSET_CMD_PROTOCOL. */
export const IPSET_ATTR_PROTOCOL_MIN = 10
/** Of the answer to IPSET_CMD_TYPE. */
export const IPSET_ATTR_REVISION_MIN = 10

/** Of IPSET_ATTR_DATA, for sets and for members. */
export const IPSET_ATTR_IP = 1
export const IPSET_ATTR_PORT = 4
export const IPSET_ATTR_PORT_TO = 5
export const IPSET_ATTR_TIMEOUT = 6
export const IPSET_ATTR_PROTO = 7
export const IPSET_ATTR_CADT_FLAGS = 8
export const IPSET_ATTR_CADT_LINENO = 9

/** Of IPSET_ATTR_DATA, for sets. */
export const IPSET_ATTR_MARKMASK = 11
export const IPSET_ATTR_BITMASK = 12
export const IPSET_ATTR_HASHSIZE = 18
export const IPSET_ATTR_MAXELEM = 19
export const IPSET_ATTR_NETMASK = 20
export const IPSET_ATTR_ELEMENTS = 24
export const IPSET_ATTR_REFERENCES = 25

/** Of IPSET_ATTR_DATA, for members. */
export const IPSET_ATTR_IP2 = 20
export const IPSET_ATTR_CIDR2 = 21
export const IPSET_ATTR_BYTES = 24
export const IPSET_ATTR_PACKETS = 25
export const IPSET_ATTR_COMMENT = 26
export const IPSET_ATTR_SKBMARK = 27
export const IPSET_ATTR_SKBPRIO = 28
export const IPSET_ATTR_SKBQUEUE = 29
export const IPSET_ATTR_PAD = 30

/** Of IPSET_ATTR_IP and IPSET_ATTR_IP2. */
export const IPSET_ATTR_IPADDR_IPV4 = 1
export const IPSET_ATTR_IPADDR_IPV6 = 2

/** In IPSET_ATTR_FLAGS: leave the members out of a list. */
export const IPSET_FLAG_LIST_HEADER = 4
/** In IPSET_ATTR_CADT_FLAGS of a set. */
export const IPSET_FLAG_WITH_COUNTERS = 8
export const IPSET_FLAG_WITH_COMMENT = 16
export const IPSET_FLAG_WITH_FORCEADD = 32
export const IPSET_FLAG_WITH_SKBINFO = 64
/** In IPSET_ATTR_CADT_FLAGS of a member. */
export const IPSET_FLAG_NOMATCH = 4

/** Errors from here on are ipset's own. */
export const IPSET_ERR_PRIVATE = 4096
/** To IPSET_CMD_SWAP that the second set is missing, to IPSET_CMD_RENAME that it is there. */
export const IPSET_ERR_EXIST_SETNAME2 = 4101
/** Errors from here on mean something else for each type of set. */
export const IPSET_ERR_TYPE_SPECIFIC = 4352
