import { KernelError } from '../netlink/error.ts'
import type { Accounted, Nfacct } from './nfacct.ts'

/** linux/netfilter/nfnetlink_acct.h: NFACCT_NAME_MAX, less the NUL. */
const longestName = 31

/** {@link Nfacct} in memory; `available: false` is a kernel without. */
export class FakeNfacct implements Nfacct {
  readonly #counters = new Map<string, Accounted>()
  readonly #available: boolean

  constructor(available = true) {
    this.#available = available
  }

  /** Packets pass a rule. */
  count(name: string, packets: bigint, bytes: bigint): void {
    const before = this.#counters.get(name)
    if (before !== undefined)
      this.#counters.set(name, { packets: before.packets + packets, bytes: before.bytes + bytes })
  }

  async supported(signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    return this.#available
  }

  async ensure(name: string, signal: AbortSignal): Promise<void> {
    this.#check(`create nfacct ${name}`, signal)
    if (name === '' || name.length > longestName)
      throw new KernelError({ code: 'invalid', op: `create nfacct ${name}`, detail: `1 to ${longestName} characters` })
    if (!this.#counters.has(name)) this.#counters.set(name, { packets: 0n, bytes: 0n })
  }

  async read(name: string, signal: AbortSignal): Promise<Accounted | undefined> {
    this.#check(`read nfacct ${name}`, signal)
    return this.#counters.get(name)
  }

  close(): void {}

  #check(op: string, signal: AbortSignal): void {
    signal.throwIfAborted()
    if (!this.#available) throw new KernelError({ code: 'invalid', op })
  }
}
