import { access, readFile } from 'node:fs/promises'
import type { Family } from '../../model/ip.ts'
import { ExecError } from '../exec/exec-error.ts'
import { type Run, run as realRun } from '../exec/run.ts'
import { tableFamilyObstacle } from '../nft/table-family.ts'
import { type Variant, variants } from './iptables.ts'
import { plainName, programName } from './iptables-client.ts'
import { hasCapabilities, oneLine } from './program-failure.ts'
import type { TableName } from './table-name.ts'
import { parseVersion, type ToolFeatures, type ToolVersion, toolFeatures } from './version.ts'

/** An installed program of one variant and family. */
export interface IptablesTool {
  readonly variant: Variant
  readonly family: Family
  /** `ip6tables-nft`, or `ip6tables` where only that name exists; `-save` and `-restore` go by the same name. */
  readonly program: string
  /** Undefined when it could not be read. */
  readonly version: ToolVersion | undefined
  readonly features: ToolFeatures
}

/** Which variants are installed for a family. The name that says the variant comes before the plain one. */
export const findTools = async (
  family: Family,
  signal: AbortSignal,
  run: Run = realRun,
): Promise<ReadonlyMap<Variant, IptablesTool>> => {
  const found = new Map<Variant, IptablesTool>()
  for (const variant of variants) {
    const program = programName(family, variant)
    const answer = await askVersion(program, signal, run)
    if (answer !== undefined) found.set(variant, toolOf(variant, family, program, answer.version))
  }
  if (found.size === variants.length) return found
  const program = plainName(family)
  const version = (await askVersion(program, signal, run))?.version
  if (version !== undefined && !found.has(version.variant))
    found.set(version.variant, toolOf(version.variant, family, program, version))
  return found
}

const toolOf = (variant: Variant, family: Family, program: string, version: ToolVersion | undefined): IptablesTool => ({
  ...{ variant, family, program, version },
  features: toolFeatures(version),
})

/** Undefined without such a program. */
const askVersion = async (
  program: string,
  signal: AbortSignal,
  run: Run,
): Promise<{ readonly version: ToolVersion | undefined } | undefined> => {
  try {
    const { stdout } = await run([program, '--version'], { signal })
    return { version: parseVersion(stdout) }
  } catch (error) {
    if (error instanceof ExecError && error.code !== 'aborted') return undefined
    throw error
  }
}

export interface KernelSource {
  readonly run?: Run
  /** Default /proc. */
  readonly proc?: string
  /** Where the kernel's modules are listed. Default /lib/modules. */
  readonly modules?: string
  readonly tableFamily?: typeof tableFamilyObstacle
}

const ipv6List = 'net/if_inet6'
const legacyLists: Readonly<Record<Family, string>> = { IPv4: 'net/ip_tables_names', IPv6: 'net/ip6_tables_names' }
const legacyModule: Readonly<Record<Family, string>> = { IPv4: 'ip_tables', IPv6: 'ip6_tables' }

/**
 * Why the kernel would not take rules of this variant and family, in words; undefined when nothing speaks against it.
 * Looking creates no table and loads no module, so a legacy table that nobody has used yet is believed to exist.
 */
export const kernelObstacle = async (
  { variant, family, program, features }: IptablesTool,
  tables: readonly TableName[],
  signal: AbortSignal,
  { run = realRun, proc = '/proc', modules = '/lib/modules', tableFamily = tableFamilyObstacle }: KernelSource = {},
): Promise<string | undefined> => {
  signal.throwIfAborted()
  if (!(await hasCapabilities(variant, `${proc}/self/status`)))
    return `no permission: ${variant === 'nft' ? 'CAP_NET_ADMIN is' : 'CAP_NET_ADMIN and CAP_NET_RAW are'} needed`
  if (family === 'IPv6' && !(await exists(`${proc}/${ipv6List}`)))
    return 'the kernel has no IPv6, or it was booted with ipv6.disable=1'
  if (variant === 'legacy') return legacyObstacle(family, tables, proc, modules)
  const noTables = await tableFamily(family === 'IPv4' ? 'ip' : 'ip6', signal)
  if (noTables !== undefined) return noTables
  // --test reads what is there and parses, but commits nothing.
  const wait = features.restoreWaits ? ['-w', '5'] : []
  const input = tables.map((table) => `*${table}\nCOMMIT\n`).join('')
  const { status, stderr } = await run([`${program}-restore`, ...wait, '--noflush', '--test'], { signal, input })
  return status === 0 ? undefined : oneLine(stderr) || `${program}-restore --test ended with status ${status}`
}

/** Tables that exist are taken. Others come with their module, which has to be in the kernel or where it loads it from. */
const legacyObstacle = async (
  family: Family,
  tables: readonly TableName[],
  proc: string,
  folder: string,
): Promise<string | undefined> => {
  const list = await read(`${proc}/${legacyLists[family]}`)
  const listed = new Set(list?.split('\n'))
  const release = (await read(`${proc}/sys/kernel/osrelease`))?.trim()
  const modules = await knownModules(`${folder}/${release}`)
  // Modules may be kept from a container: then nothing can be said.
  if (modules === undefined) return undefined
  if (list === undefined && !modules.has(legacyModule[family]))
    return `the kernel has no module ${legacyModule[family]}, which the legacy variant needs`
  const prefix = family === 'IPv4' ? 'iptable' : 'ip6table'
  const missing = tables.find((table) => !listed.has(table) && !modules.has(`${prefix}_${table}`))
  return missing === undefined ? undefined : `the kernel has no table ${missing} (module ${prefix}_${missing})`
}

/** What is built in or can be loaded; undefined when the lists are not here. */
const knownModules = async (folder: string): Promise<ReadonlySet<string> | undefined> => {
  const lists = ['modules.builtin', 'modules.dep'].map((file) => read(`${folder}/${file}`))
  const texts = (await Promise.all(lists)).filter((text) => text !== undefined)
  if (texts.length < lists.length) return undefined
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\/([^/\s:]+?)\.ko(?:\.\w+)?(?=:|$)/gm)].map(([, name]) => name),
  )
  return new Set(names.filter((name) => name !== undefined))
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const read = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)
