import type { Family } from '../../model/ip.ts'

/** Hears from the client about our own commits, so that a watch can tell them from everybody else's. Must not throw. */
export interface CommitWitness {
  /** A program that writes for us runs as process `pid`, … */
  started(pid: number): void
  /** … and has ended, having committed `tables` tables for certain. */
  ended(pid: number, tables: number): void
  /** Legacy variant only: we hold the xtables lock and are about to commit. */
  locked(family: Family): void
  /** We have committed, or failed to, and still hold it. */
  unlocking(family: Family): void
}
