import { readFile } from 'node:fs/promises'
import type { Family } from '../../model/ip.ts'
import { ExecError } from '../exec/exec-error.ts'
import { type Run, type RunOptions, type RunResult, run as realRun } from '../exec/run.ts'
import { inParts } from './commit-parts.ts'
import type { CommitWitness } from './commit-witness.ts'
import type { Iptables, Variant } from './iptables.ts'
import { IptablesError } from './iptables-error.ts'
import { failure, oneLine } from './program-failure.ts'
import { explainRefusal } from './refusal.ts'
import { keepPolicies, restoreText, type Statement, type TableChange } from './restore-builder.ts'
import { parseSave, type Saved, type SavedTable } from './save-parser.ts'
import { type TableName, tableNames } from './table-name.ts'
import { type ToolFeatures, type ToolVersion, toolFeatures } from './version.ts'
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
  /** `-save` and `-restore` are appended. Default: the name that says the variant, such as `ip6tables-legacy`. */
  readonly program?: string
  /** Of that program, as `probe` found it; unknown counts as new. */
  readonly version?: ToolVersion
  readonly witness?: CommitWitness
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
  readonly #features: ToolFeatures
  readonly #witness: CommitWitness | undefined

  constructor(
    variant: Variant,
    family: Family,
    { run = realRun, lockSeconds = 5, program, version, witness }: IptablesClientOptions = {},
  ) {
    this.variant = variant
    this.family = family
    this.#run = run
    this.#lockSeconds = lockSeconds
    this.#program = program ?? programName(family, variant)
    this.#features = toolFeatures(version)
    this.#witness = witness
  }

  async tables(signal: AbortSignal): Promise<readonly TableName[]> {
    if (this.variant === 'nft') return (await this.save(signal)).tables.map((table) => table.name)
    return readTableNames(legacyTables[this.family], signal)
  }

  async save(signal: AbortSignal): Promise<Saved> {
    // Both print what is there. What is not, the legacy one would take for a failure, or ask for a module.
    if (this.variant === 'legacy' && (await this.tables(signal)).length === 0) return { tables: [], incompatible: [] }
    return this.#save(['-c'], signal)
  }

  async restore(changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    if (changes.length === 0) return
    const { otherLockFile, restoreWaits } = this.#features
    // The lock is ours to take where the program does not, and where the witness has to look while nobody else commits.
    const lock = this.variant === 'legacy' && (restoreWaits ? this.#witness !== undefined && otherLockFile : true)
    if (lock) await this.#locked(signal, () => this.#commit(changes, underLock, signal))
    else await this.#commit(changes, {}, signal)
  }

  async update(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    signal: AbortSignal,
  ): Promise<void> {
    if (this.variant === 'nft') {
      const saved = (await this.save(signal)).tables.find(({ name }) => name === table)
      const statements = saved === undefined ? [] : decide(saved)
      if (statements.length > 0) await this.#commit([{ table, statements }], {}, signal)
    } else if (this.#features.otherLockFile || !this.#features.restoreWaits)
      await this.#locked(signal, () => this.#updateLegacy(table, decide, underLock, signal))
    // A program that insists on the one lock would wait for us: a change in between is the lesser evil.
    else await this.#updateLegacy(table, decide, {}, signal)
  }

  async #updateLegacy(
    table: TableName,
    decide: (table: SavedTable) => readonly Statement[],
    env: Record<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    if (!(await this.tables(signal)).includes(table)) return
    const [saved] = (await this.#save(['-c', '-t', table], signal)).tables
    const statements = saved === undefined ? [] : decide(saved)
    if (saved === undefined || statements.length === 0) return
    await this.#commit([{ table, statements: [...keepPolicies(saved), ...statements] }], env, signal)
  }

  async #locked(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    await withXtablesLock(this.#lockSeconds * 1_000, signal, async () => {
      this.#witness?.locked(this.family)
      try {
        await work()
      } finally {
        this.#witness?.unlocking(this.family)
      }
    })
  }

  async #save(args: readonly string[], signal: AbortSignal): Promise<Saved> {
    const command = [`${this.#program}-save`, ...args]
    const { status, stdout, stderr } = await this.#call(command, { signal })
    if (status !== 0) throw await failure(command, status, stderr, { reason: oneLine(stderr) })
    try {
      return parseSave(stdout)
    } catch (cause) {
      throw new IptablesError('output', command.join(' '), 'unexpected output', { cause })
    }
  }

  async #commit(whole: readonly TableChange[], env: Record<string, string>, signal: AbortSignal): Promise<void> {
    const changes = this.variant === 'nft' ? whole.flatMap((change) => inParts(change)) : whole
    const wait = this.#features.restoreWaits ? ['-w', String(this.#lockSeconds)] : []
    const command = [`${this.#program}-restore`, ...wait, '--noflush', '--counters']
    let pid: number | undefined
    const onStart = (started: number): void => {
      pid = started
      this.#witness?.started(started)
    }
    let committed = 0
    try {
      const { status, stderr } = await this.#call(command, { signal, input: restoreText(changes), env, onStart })
      if (status !== 0) throw await failure(command, status, stderr, explainRefusal(changes, stderr))
      committed = changes.length
    } finally {
      if (pid !== undefined) this.#witness?.ended(pid, committed)
    }
  }

  async #call(command: readonly string[], options: RunOptions): Promise<RunResult> {
    try {
      return await this.#run(command, { timeoutMs, maxOutput, ...options })
    } catch (cause) {
      if (!(cause instanceof ExecError) || cause.code === 'aborted') throw cause
      throw new IptablesError(cause.code === 'missing' ? 'missing' : 'io', command.join(' '), cause.message, { cause })
    }
  }
}

/** The name that says the variant. */
export const programName = (family: Family, variant: Variant): string => `${plainName(family)}-${variant}`
export const plainName = (family: Family): string => (family === 'IPv4' ? 'iptables' : 'ip6tables')

/** No file: the kernel has no x_tables of this family, or its module is not loaded. */
const readTableNames = async (path: string, signal: AbortSignal): Promise<readonly TableName[]> => {
  try {
    const names = new Set((await readFile(path, { encoding: 'utf8', signal })).split('\n'))
    return tableNames.filter((name) => names.has(name))
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
    throw new IptablesError('io', `read ${path}`, String(cause), { cause })
  }
}
