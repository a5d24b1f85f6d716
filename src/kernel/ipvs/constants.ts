/** linux/ip_vs.h: IPVS_GENL_NAME */
export const IPVS_GENL_NAME = 'IPVS'

/** linux/ip_vs.h: IPVS_CMD_*. Answers to questions have the command that would make what they describe. */
export const IPVS_CMD_NEW_SERVICE = 1
export const IPVS_CMD_SET_SERVICE = 2
export const IPVS_CMD_DEL_SERVICE = 3
export const IPVS_CMD_GET_SERVICE = 4
export const IPVS_CMD_NEW_DEST = 5
export const IPVS_CMD_SET_DEST = 6
export const IPVS_CMD_DEL_DEST = 7
export const IPVS_CMD_GET_DEST = 8
export const IPVS_CMD_SET_CONFIG = 12
export const IPVS_CMD_GET_CONFIG = 13

/** linux/ip_vs.h: IPVS_CMD_ATTR_*, of a message. Timeouts are host-order seconds. */
export const IPVS_CMD_ATTR_SERVICE = 1
export const IPVS_CMD_ATTR_DEST = 2
export const IPVS_CMD_ATTR_TIMEOUT_TCP = 4
export const IPVS_CMD_ATTR_TIMEOUT_TCP_FIN = 5
export const IPVS_CMD_ATTR_TIMEOUT_UDP = 6

/** linux/ip_vs.h: IPVS_SVC_ATTR_*, of a virtual server. Host order but for addresses and ports. */
export const IPVS_SVC_ATTR_AF = 1
export const IPVS_SVC_ATTR_PROTOCOL = 2
/** union nf_inet_addr: 16 bytes, of which IPv4 has the first 4. */
export const IPVS_SVC_ATTR_ADDR = 3
export const IPVS_SVC_ATTR_PORT = 4
export const IPVS_SVC_ATTR_FWMARK = 5
export const IPVS_SVC_ATTR_SCHED_NAME = 6
/** struct ip_vs_flags: the bits, then which of them count. */
export const IPVS_SVC_ATTR_FLAGS = 7
export const IPVS_SVC_ATTR_TIMEOUT = 8
/** IPv4: a mask in network order. IPv6: the length of a prefix, in host order. */
export const IPVS_SVC_ATTR_NETMASK = 9
export const IPVS_SVC_ATTR_STATS = 10
export const IPVS_SVC_ATTR_STATS64 = 12

/** linux/ip_vs.h: IPVS_DEST_ATTR_*, of a real server. */
export const IPVS_DEST_ATTR_ADDR = 1
export const IPVS_DEST_ATTR_PORT = 2
export const IPVS_DEST_ATTR_FWD_METHOD = 3
export const IPVS_DEST_ATTR_WEIGHT = 4
export const IPVS_DEST_ATTR_U_THRESH = 5
export const IPVS_DEST_ATTR_L_THRESH = 6
export const IPVS_DEST_ATTR_ACTIVE_CONNS = 7
export const IPVS_DEST_ATTR_INACT_CONNS = 8
export const IPVS_DEST_ATTR_PERSIST_CONNS = 9
export const IPVS_DEST_ATTR_STATS = 10
/** Absent before Linux 3.18: that of the virtual server. */
export const IPVS_DEST_ATTR_ADDR_FAMILY = 11
export const IPVS_DEST_ATTR_STATS64 = 12

/** linux/ip_vs.h: IPVS_STATS_ATTR_*. In STATS the first three have 32 bits; in STATS64, from Linux 4.1 on, all have 64. */
export const IPVS_STATS_ATTR_CONNS = 1
export const IPVS_STATS_ATTR_INPKTS = 2
export const IPVS_STATS_ATTR_OUTPKTS = 3
export const IPVS_STATS_ATTR_INBYTES = 4
export const IPVS_STATS_ATTR_OUTBYTES = 5

/** linux/ip_vs.h: the flags of a virtual server. HASHED (2) is the kernel's own, and always set in what it tells. */
export const IP_VS_SVC_F_PERSISTENT = 0x1
export const IP_VS_SVC_F_ONEPACKET = 0x4
export const IP_VS_SVC_F_SCHED1 = 0x8
export const IP_VS_SVC_F_SCHED2 = 0x10
export const IP_VS_SVC_F_SCHED3 = 0x20

/** linux/ip_vs.h: how packets are forwarded. */
export const IP_VS_CONN_F_MASQ = 0
export const IP_VS_CONN_F_LOCALNODE = 1
export const IP_VS_CONN_F_TUNNEL = 2
export const IP_VS_CONN_F_DROUTE = 3
export const IP_VS_CONN_F_BYPASS = 4

/** linux/socket.h */
export const AF_INET = 2
export const AF_INET6 = 10
