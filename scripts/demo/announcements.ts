import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { parseIP, writeIP } from '../../src/model/ip.ts'

/** linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const NETLINK_NETFILTER = 12
const NFNLGRP_NFTABLES = 7
const NFNL_SUBSYS_NFTABLES = 10
const NFT_MSG_NEWSETELEM = 12
const NFT_MSG_DELSETELEM = 14
const elementMessages = [NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM].map((message) => (NFNL_SUBSYS_NFTABLES << 8) | message)

/** Hears what the kernel announces to everyone in this network namespace once a change of the ruleset is live. */
export class Announcements {
  readonly #transport: Transport

  constructor() {
    this.#transport = openTransport({
      protocol: NETLINK_NETFILTER,
      groups: [NFNLGRP_NFTABLES],
      receiveBuffer: 8 * 1024 * 1024,
    })
  }

  /** Forgets what was announced so far. */
  drain(): void {
    while (this.#transport.receive() !== undefined);
  }

  /**
   * Resolves to the milliseconds from `startedAt` (of `performance.now`) to the first announcement of a set or map
   * element that holds the IPv4 address `ip`; undefined when none came within `limitMs`. Asks without pause, as a
   * timer would be coarser than the answer.
   */
  async elementWith(ip: string, startedAt: number, limitMs: number): Promise<number | undefined> {
    const wanted = Buffer.from(addressBytes(ip))
    while (performance.now() - startedAt < limitMs) {
      for (let datagram = this.#transport.receive(); datagram !== undefined; datagram = this.#transport.receive())
        if (isElementWith(datagram, wanted)) return performance.now() - startedAt
      await new Promise((resolve) => setImmediate(resolve))
    }
    return undefined
  }

  close(): void {
    this.#transport.close()
  }
}

const addressBytes = (text: string): Uint8Array => {
  const ip = parseIP(text)
  if (ip === undefined) throw new TypeError(`no address: ${text}`)
  const bytes = new Uint8Array(4)
  writeIP(ip, bytes, 0)
  return bytes
}

/** A datagram holds one announcement: struct nlmsghdr, whose second field is the type, then attributes. */
const isElementWith = (datagram: Uint8Array, wanted: Buffer): boolean => {
  const type = new DataView(datagram.buffer, datagram.byteOffset).getUint16(4, true)
  return elementMessages.includes(type) && Buffer.from(datagram).includes(wanted)
}
