import { endianness } from 'node:os'
import { openTransport, type Transport } from '../../src/kernel/netlink/transport.ts'
import { parseIP, writeIP } from '../../src/model/ip.ts'

/** linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const NETLINK_NETFILTER = 12
const NFNLGRP_NFTABLES = 7
const NFNL_SUBSYS_NFTABLES = 10
const NFT_MSG_NEWSETELEM = 12
const NFT_MSG_DELSETELEM = 14
const elementMessages = [NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM].map((message) => (NFNL_SUBSYS_NFTABLES << 8) | message)

/** Nobody writes to it: waiting on it is sleeping. */
const pause = new Int32Array(new SharedArrayBuffer(4))

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
   * element that holds the IPv4 address `ip`; undefined when none came within `limitMs`. Asks five times a
   * millisecond: finer than timers are, and leaves the processor to weir in between.
   */
  async elementWith(ip: string, startedAt: number, limitMs: number): Promise<number | undefined> {
    const wanted = Buffer.from(addressBytes(ip))
    while (performance.now() - startedAt < limitMs) {
      for (let datagram = this.#transport.receive(); datagram !== undefined; datagram = this.#transport.receive())
        if (hasElementWith(datagram, wanted)) return performance.now() - startedAt
      Atomics.wait(pause, 0, 0, 0.2)
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

/** The announcements in a datagram, each from its struct nlmsghdr (u32 length, u16 type …) on; aligned to 4 bytes. */
function* messages(datagram: Uint8Array): Generator<{ readonly type: number; readonly bytes: Buffer }> {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const littleEndian = endianness() === 'LE'
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = Math.max(16, view.getUint32(at, littleEndian))
    yield { type: view.getUint16(at + 4, littleEndian), bytes: Buffer.from(datagram.subarray(at, at + length)) }
    at += (length + 3) & ~3
  }
}

/** A commit's announcements share datagrams, so that of an element may come after those of chains and rules. */
const hasElementWith = (datagram: Uint8Array, wanted: Buffer): boolean => {
  for (const { type, bytes } of messages(datagram))
    if (elementMessages.includes(type) && bytes.includes(wanted)) return true
  return false
}
