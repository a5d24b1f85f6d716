import { littleEndian } from '../../src/kernel/netlink/byte-layout.ts'
import { NLM_F_DUMP } from '../../src/kernel/netlink/constants.ts'
import type { Transport } from '../../src/kernel/netlink/transport.ts'
import type { AddressChange, AddressRefusal } from '../../src/kernel/route/interface-address.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'

/** Datagrams to the kernel, each answered before the next one is sent: round trips. */
export interface Sent {
  readonly requests: number
  /** Those that began a listing. */
  readonly listings: number
}

/** Where nlmsg_flags is in struct nlmsghdr. */
const flagsOffset = 6

/** Counts what goes to the kernel through any of several sockets. */
export class Traffic {
  #requests = 0
  #listings = 0

  get sent(): Sent {
    return { requests: this.#requests, listings: this.#listings }
  }

  since(before: Sent): Sent {
    const { requests, listings } = this.sent
    return { requests: requests - before.requests, listings: listings - before.listings }
  }

  /** What `open` opens, counted. */
  counting(open: () => Transport): () => Transport {
    return () => {
      const transport = open()
      return {
        portId: transport.portId,
        ...(transport.buffers === undefined ? {} : { buffers: transport.buffers }),
        send: (bytes) => {
          this.#count(bytes)
          transport.send(bytes)
        },
        sendAsync: (bytes, signal) => {
          this.#count(bytes)
          return transport.sendAsync(bytes, signal)
        },
        receive: () => transport.receive(),
        join: (group) => transport.join(group),
        leave: (group) => transport.leave(group),
        close: () => transport.close(),
      }
    }
  }

  /** A request that was sent in another way. */
  add(requests: number): void {
    this.#requests += requests
  }

  #count(bytes: Uint8Array): void {
    const flags = new DataView(bytes.buffer, bytes.byteOffset).getUint16(flagsOffset, littleEndian)
    if ((flags & NLM_F_DUMP) === NLM_F_DUMP) this.#listings++
    else this.#requests++
  }
}

/** It opens sockets by itself: one to ask for the device and, in as few datagrams as it takes, to change its addresses. */
export class CountedRoute extends NetlinkRoute {
  readonly #traffic: Traffic

  constructor(traffic: Traffic) {
    super()
    this.#traffic = traffic
  }

  override changeAddresses(
    name: string,
    change: AddressChange,
    signal: AbortSignal,
  ): Promise<readonly AddressRefusal[]> {
    this.#traffic.add(2)
    return super.changeAddresses(name, change, signal)
  }
}
