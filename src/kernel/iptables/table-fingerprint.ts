import { closeSync, readFileSync } from 'node:fs'
import type { Family } from '../../model/ip.ts'
import { libc } from '../libc.ts'
import { KernelError } from '../netlink/error.ts'
import { watchedTables } from './suspects.ts'

/** sys/socket.h */
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0x80000
const addressFamily = { IPv4: 2, IPv6: 10 } as const
/** netinet/in.h: SOL_IP, SOL_IPV6 */
const level = { IPv4: 0, IPv6: 41 } as const
/** IPT_SO_GET_INFO and IP6T_SO_GET_INFO (linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h) */
const GET_INFO = 64
/** struct ipt_getinfo: the name; then valid hooks, 5 hook entries, 5 underflows, number of entries, size, all 32 bits. */
const nameLength = 32
const infoLength = nameLength + 4 * 13

const namesFile = { IPv4: '/proc/net/ip_tables_names', IPv6: '/proc/net/ip6_tables_names' } as const

/**
 * Shape of the legacy tables of one family: how many entries, of which size, and where those of each hook begin and end. It
 * does not see rules exchanged for others of the same size, nor policies and counters.
 */
export class TableFingerprints {
  readonly #family: Family
  readonly #fd: number
  readonly #value = Buffer.alloc(infoLength)
  readonly #length = new Uint32Array(1)
  readonly #known = new Map<string, string>()

  constructor(family: Family) {
    this.#family = family
    this.#fd = libc().socket(addressFamily[family], SOCK_DGRAM | SOCK_CLOEXEC, 0)
    // Without IPv6 there are no tables of it either.
    if (this.#fd < 0 && family === 'IPv4') throw KernelError.ofErrno('socket(AF_INET)', libc().errno())
  }

  /**
   * Looks again, and says whether a table has changed since the last look. A table that has only come to be is no change:
   * it has been written to by nobody, or by somebody whose rules are none of ours.
   */
  changed(): boolean {
    let changed = false
    for (const table of this.#tables()) {
      const now = this.#read(table)
      const before = this.#known.get(table)
      if (before !== undefined && before !== now) changed = true
      this.#known.set(table, now)
    }
    return changed
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
  }

  /** Those that exist, because asking for one would create it; and those that existed, for they may have gone. */
  #tables(): readonly string[] {
    if (this.#fd < 0) return []
    let names: readonly string[] = []
    try {
      names = readFileSync(namesFile[this.#family], 'latin1').split('\n')
    } catch {
      // No x_tables of this family, or its module is not loaded yet.
    }
    return watchedTables.filter((table) => names.includes(table) || this.#known.has(table))
  }

  #read(table: string): string {
    this.#value.fill(0)
    this.#value.write(table, 'latin1')
    this.#length[0] = infoLength
    const result = libc().getsockopt(this.#fd, level[this.#family], GET_INFO, this.#value, this.#length)
    return result < 0 ? `errno ${libc().errno()}` : this.#value.toString('latin1', nameLength)
  }
}
