import { readFile } from 'node:fs/promises'
import type { Family } from '../../model/ip.ts'
import { ExecError } from '../exec/exec-error.ts'
import { type Run, type RunResult, run as realRun } from '../exec/run.ts'
import type { Iptables, Variant } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import { restoreText, type TableChange } from './restore-builder.ts'
import { parseSave, type Saved } from './save-parser.ts'
import { type TableName, tableNames } from './table-name.ts'

/** Where each family's legacy tables are listed, in this process's network namespace (net/netfilter/x_tables.c). */
const legacyTables = {
  IPv4: '/proc/net/ip_tables_names',
  IPv6: '/proc/net/ip6_tables_names',
} as const satisfies Record<Family, string>

/** Exit status RESOURCE_PROBLEM of xtables.h. */
const resourceProblem = 4

export interface IptablesClientOptions {
  readonly run?: Run
  /** How long iptables-restore waits for the xtables lock. Default 5, as kube-proxy has it; 0 = not at all. */
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
    const tables = await this.tables(signal)
    const parts: Saved[] = []
    for (const table of tables) parts.push(await this.#save(['-c', '-t', table], signal))
    return { tables: parts.flatMap((part) => part.tables), incompatible: [] }
  }

  async #save(args: readonly string[], signal: AbortSignal): Promise<Saved> {
    const command = [`${this.#program}-save`, ...args]
    const { stdout } = await this.#call(command, '', signal)
    try {
      return parseSave(stdout)
    } catch (cause) {
      throw new IptablesError('output', command.join(' '), 'unexpected output', cause)
    }
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    if (changes.length === 0) return
    const wait = this.#lockSeconds > 0 ? ['-w', String(this.#lockSeconds)] : []
    await this.#call([`${this.#program}-restore`, '--noflush', '--counters', ...wait], restoreText(changes), signal)
  }

  async #call(command: readonly string[], input: string, signal: AbortSignal): Promise<RunResult> {
    const op = command.join(' ')
    let result: RunResult
    try {
      result = await this.#run(command, { signal, input, timeoutMs, maxOutput })
    } catch (cause) {
      if (!(cause instanceof ExecError) || cause.code === 'aborted') throw cause
      throw new IptablesError(cause.code === 'missing' ? 'missing' : 'io', op, cause.message, cause)
    }
    if (result.status === 0) return result
    const reason = result.stderr.trim().replaceAll('\n', '; ') || `exit status ${result.status}`
    throw new IptablesError(result.status === resourceProblem ? 'locked' : 'rejected', op, reason)
  }
}

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
