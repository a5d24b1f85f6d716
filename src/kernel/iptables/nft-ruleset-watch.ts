import type { Family } from '../../model/ip.ts'
import { type NftEvent, type NftMonitor, openNftMonitor, type TouchedTable } from '../nft/monitor.ts'
import { OwnWriters } from '../nft/own-writers.ts'
import type { CommitWitness } from './commit-witness.ts'
import type { RulesetWatch, RulesetWatchOptions } from './ruleset-watch.ts'
import { Suspects, watchedTables } from './suspects.ts'

/** Above this many bytes of input (some 8,000 rules) the events of our own commit would flood the monitor's socket. */
const bigInput = 1 << 20

const familyNames: Readonly<Record<string, Family>> = { ip: 'IPv4', ip6: 'IPv6' }

/**
 * Follows the events of nf_tables. Ours are those of the `iptables-nft-restore` processes that we started: a program's
 * netlink socket gets its process id. Each COMMIT that changes something is a transaction and moves the generation by one.
 */
export class NftRulesetWatch implements RulesetWatch, CommitWitness {
  readonly #writers = new OwnWriters()
  readonly #monitor: NftMonitor
  readonly #suspects: Suspects
  readonly #running = new Set<Promise<unknown>>()
  readonly #concerns: (chain: string) => boolean
  #paused = false

  constructor({ families, onForeignWrite, concerns = () => true }: RulesetWatchOptions) {
    this.#concerns = concerns
    this.#suspects = new Suspects(families, onForeignWrite)
    const report = (event: NftEvent): void => this.#onEvent(event)
    this.#monitor = openNftMonitor({ writers: this.#writers, report })
  }

  started(pid: number): void {
    this.#writers.add(pid)
  }

  ended(pid: number, tables: number): void {
    for (let i = 0; i < tables; i++) this.#writers.committed()
    this.#writers.release(pid)
  }

  locked(): void {}

  unlocking(): void {}

  /**
   * While a big write runs, the monitor is paused and transactions are only counted, which goes wrong when a smaller one
   * of ours is halfway through: so a big one starts alone, and the count is compared when the last one has ended. As many
   * foreign ones as tables of ours that turned out to need no change stay unseen then.
   */
  async write<T>(_family: Family, bytes: number, write: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const big = bytes > bigInput
    while (big && !this.#paused && this.#running.size > 0) await Promise.allSettled(this.#running)
    signal.throwIfAborted()
    if (big && !this.#paused) {
      this.#monitor.pause()
      this.#paused = true
    }
    const running = write()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
      if (this.#paused && this.#running.size === 0) {
        this.#paused = false
        this.#monitor.resume()
      }
    }
  }

  compared(family: Family): void {
    this.#monitor.poll()
    this.#suspects.clear(family)
  }

  untouched(family: Family): boolean {
    this.#monitor.poll()
    return !this.#suspects.has(family)
  }

  close(): void {
    this.#monitor.close()
  }

  #onEvent(event: NftEvent): void {
    if (event.kind === 'overflow') this.#suspects.accuseAll()
    else
      for (const family of new Set(event.tables.flatMap((table) => this.#familyOf(table))))
        this.#suspects.accuse(family)
  }

  #familyOf({ family, name, chains }: TouchedTable): readonly Family[] {
    const watched = familyNames[family]
    if (watched === undefined || !watchedTables.some((table) => table === name)) return []
    return chains === undefined || [...chains].some(this.#concerns) ? [watched] : []
  }
}
