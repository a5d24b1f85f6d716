import { readFile } from 'node:fs/promises'
import type { Family } from '../../model/ip.ts'
import { ExecError } from '../exec/exec-error.ts'
import { type Run, run as realRun } from '../exec/run.ts'
import type { Iptables, Variant } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import { keepPolicies, restoreText, type Statement, type TableChange } from './restore-builder.ts'
import { parseSave, type Saved, type SavedTable } from './save-parser.ts'
import { type TableName, tableNames } from './table-name.ts'
import { underLock, withXtablesLock } from './xtables-lock.ts'

/** Where each family's legacy tables are listed, in this process's network namespace (net/netfilter/x_tables.c). */
const legacyTables = {
  IPv4: '/proc/net/ip_tables_names',
  IPv6: '/proc/net/ip6_tables_names',
} as const satisfies Record<Family, string>

export interface IptablesClientOptions {
  readonly run?: Run
  /** How long to wait for the xtables lock: whole seconds, at least 1. Default 5, as kube-proxy has it. */
  readonly lockSeconds?: number
}

/** 300,000 rules, as 20,000 Services of 8 endpoints make, are some 60 MB of text. */
const maxOutput = 512 << 20
/** A commit of that size takes the nft variant minutes. */
const timeoutMs = 600_000

/** {@link Iptables} through `iptables-{legacy,nft}-save` and `-restore`, or `ip6tables-…`. */
export class IptablesClient implements Iptables {
  readonly variant: Variant
  readonly family: Family
  readonly #run: Run
  readonly #lockSeconds: number
  readonly #program: string

  constructor(variant: Variant, family: Family, { run = realRun, lockSeconds = 5 }: IptablesClientOptions = {}) {
    this.variant = variant
    this.family = family
    this.#run = run
    this.#lockSeconds = lockSeconds
    this.#program = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`
  }

  async tables(signal: AbortSignal): Promise<readonly TableName[]> {
    if (this.variant === 'nft') return (await this.save(signal)).tables.map((table) => table.name)
    return readTableNames(legacyTables[this.family], signal)
  }

  async save(signal: AbortSignal): Promise<Saved> {
    // Without -t the nft variant prints what is there; the legacy one would ask for modules, so it is told table by table.
    if (this.variant === 'nft') return this.#save(['-c'], signal)
    const parts: Saved[] = []
    for (const table of await this.tables(signal)) parts.push(await this.#save(['-c', '-t', table], signal))
    return { tables: parts.flatMap((part) => part.tables), incompatible: [] }
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    await this.#restore(changes, {}, signal)
  }

  async update(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    signal: AbortSignal,
  ): Promise<void> {
    if (this.variant === 'legacy')
      await withXtablesLock(this.#lockSeconds * 1_000, signal, () => this.#updateLegacy(table, decide, signal))
    else {
      const saved = (await this.save(signal)).tables.find(({ name }) => name === table)
      const statements = saved === undefined ? [] : decide(saved)
      if (statements.length > 0) await this.#restore([{ table, statements }], {}, signal)
    }
  }

  async #updateLegacy(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    signal: AbortSignal,
  ): Promise<void> {
    if (!(await this.tables(signal)).includes(table)) return
    const [saved] = (await this.#save(['-c', '-t', table], signal)).tables
    const statements = saved === undefined ? [] : decide(saved)
    if (saved === undefined || statements.length === 0) return
    await this.#restore([{ table, statements: [...keepPolicies(saved), ...statements] }], underLock, signal)
  }

  async #save(args: readonly string[], signal: AbortSignal): Promise<Saved> {
    const command = [`${this.#program}-save`, ...args]
    const stdout = await this.#call(command, '', {}, signal)
    try {
      return parseSave(stdout)
    } catch (cause) {
      throw new IptablesError('output', command.join(' '), 'unexpected output', cause)
    }
  }

  async #restore(changes: readonly TableChange[], env: Record<string, string>, signal: AbortSignal): Promise<void> {
    if (changes.length === 0) return
    const command = [`${this.#program}-restore`, '--noflush', '--counters', '-w', String(this.#lockSeconds)]
    await this.#call(command, restoreText(changes), env, signal)
  }

  async #call(
    command: readonly string[],
    input: string,
    env: Record<string, string>,
    signal: AbortSignal,
  ): Promise<string> {
    const op = command.join(' ')
    try {
      const { status, stdout, stderr } = await this.#run(command, { signal, input, env, timeoutMs, maxOutput })
      if (status === 0) return stdout
      const reason = stderr.trim().replaceAll(/\s*\n\s*/g, '; ') || `exit status ${status}`
      throw new IptablesError(isLocked.test(stderr) ? 'locked' : 'rejected', op, reason)
    } catch (cause) {
      if (!(cause instanceof ExecError) || cause.code === 'aborted') throw cause
      throw new IptablesError(cause.code === 'missing' ? 'missing' : 'io', op, cause.message, cause)
    }
  }
}

/** Exit status 4 would not do: the nft variant ends with it for whatever the kernel refuses. */
const isLocked = /xtables lock/

/** No file: the kernel has no x_tables of this family, or its module is not loaded. */
const readTableNames = async (path: string, signal: AbortSignal): Promise<readonly TableName[]> => {
  try {
    const names = new Set((await readFile(path, { encoding: 'utf8', signal })).split('\n'))
    return tableNames.filter((name) => names.has(name))
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
    throw new IptablesError('io', `read ${path}`, String(cause), cause)
  }
}
