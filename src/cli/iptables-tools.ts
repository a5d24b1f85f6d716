import type { Logger } from 'pino'
import type { IptablesVariant } from '../config/weir-section.ts'
import { type Run, run as realRun } from '../kernel/exec/run.ts'
import { detectVariant } from '../kernel/iptables/detect-variant.ts'
import type { Variant } from '../kernel/iptables/iptables.ts'
import { IptablesError } from '../kernel/iptables/iptables-error.ts'
import { findTools, type IptablesTool, kernelObstacle } from '../kernel/iptables/probe.ts'
import { ipv6Enabled } from '../kernel/sysctl/ipv6-enabled.ts'
import { type Family, families } from '../model/ip.ts'
import { describe, FatalError } from './fatal.ts'

/** The programs that write the rules: one for each family that can be served, of one variant. */
export interface ChosenTools {
  readonly variant: Variant
  readonly tools: ReadonlyMap<Family, IptablesTool>
}

export interface ToolSources {
  readonly run?: Run
  /** Whether IPv6 is on. */
  readonly ipv6?: (signal: AbortSignal) => Promise<boolean>
  readonly obstacle?: typeof kernelObstacle
}

type Log = Pick<Logger, 'info' | 'warn'>

/** The tables that the rules are in. */
const tables = ['mangle', 'nat', 'filter'] as const

/**
 * Finds the variant that the node uses, or the one that is wanted, and what of it can be used.
 *
 * @throws FatalError with what is missing
 */
export const chooseTools = async (
  wanted: IptablesVariant,
  log: Log,
  signal: AbortSignal,
  { run = realRun, ipv6 = ipv6Enabled, obstacle = kernelObstacle }: ToolSources = {},
): Promise<ChosenTools> => {
  const { variant, tools } = await findVariant(wanted, log, signal, { run, obstacle })
  const usable = new Map<Family, IptablesTool>()
  const obstacles: string[] = []
  for (const family of families) {
    if (family === 'IPv6' && !(await ipv6(signal))) {
      log.info('IPv6 is off on this node: serving IPv4 only')
      continue
    }
    const tool = tools.get(family)
    const why =
      tool === undefined ? `${programOf(family)} is not installed` : await obstacle(tool, tables, signal, { run })
    if (tool !== undefined && why === undefined) usable.set(family, tool)
    else obstacles.push(`${programOf(family)} cannot be used: ${why}`)
  }
  if (usable.size === 0) throw new FatalError(obstacles[0] ?? 'iptables cannot be used')
  for (const line of obstacles) log.warn(`${line}; serving ${[...usable.keys()].join()} only`)
  for (const { program, version, features } of usable.values())
    if (!features.randomFully)
      log.warn(
        `${program} ${version?.text} does not know --random-fully: source ports of masqueraded connections may collide`,
      )
  return { variant, tools: usable }
}

const programOf = (family: Family): string => (family === 'IPv4' ? 'iptables' : 'ip6tables')

const findVariant = async (
  wanted: IptablesVariant,
  log: Log,
  signal: AbortSignal,
  sources: Required<Pick<ToolSources, 'run' | 'obstacle'>>,
): Promise<ChosenTools> => {
  const detected = await detect(signal, sources.run)
  if (detected === undefined) throw new FatalError('the program `iptables` is not installed (Debian package iptables)')
  for (const remark of detected.remarks) log.warn(remark)
  if (wanted === 'auto') return (await inItsPlace(detected, log, signal, sources)) ?? detected
  if (wanted === detected.variant) return detected
  const tools = await toolsOf(wanted, signal, sources.run)
  if (!tools.has('IPv4')) throw new FatalError(`the ${wanted} variant of iptables is wanted, but not installed`)
  return { variant: wanted, tools }
}

/** The other variant, where the kernel takes its rules and not those of the one that was found. */
const inItsPlace = async (
  { variant, tools }: ChosenTools,
  log: Log,
  signal: AbortSignal,
  { run, obstacle }: Required<Pick<ToolSources, 'run' | 'obstacle'>>,
): Promise<ChosenTools | undefined> => {
  const found = tools.get('IPv4')
  const why = found === undefined ? undefined : await obstacle(found, tables, signal, { run })
  if (why === undefined) return undefined
  const other = variant === 'nft' ? 'legacy' : 'nft'
  const others = await toolsOf(other, signal, run)
  const instead = others.get('IPv4')
  if (instead === undefined || (await obstacle(instead, tables, signal, { run })) !== undefined) return undefined
  log.warn(`the ${variant} variant of iptables cannot be used: ${why}; using ${other}`)
  return { variant: other, tools: others }
}

const toolsOf = async (variant: Variant, signal: AbortSignal, run: Run): Promise<ReadonlyMap<Family, IptablesTool>> => {
  const tools = new Map<Family, IptablesTool>()
  for (const family of families) {
    const tool = (await findTools(family, signal, run)).get(variant)
    if (tool !== undefined) tools.set(family, tool)
  }
  return tools
}

const detect = async (signal: AbortSignal, run: Run): ReturnType<typeof detectVariant> => {
  try {
    return await detectVariant(families, signal, run)
  } catch (error) {
    signal.throwIfAborted()
    throw iptablesUnusable(error)
  }
}

/** What keeps us from reading or writing any rule, in words that say what to do about it. */
export const iptablesUnusable = (error: unknown): FatalError => {
  if (error instanceof IptablesError && error.code === 'permission')
    return new FatalError(
      'no permission to change iptables: CAP_NET_ADMIN is needed, for the legacy variant CAP_NET_RAW too',
      error,
    )
  return new FatalError(`iptables cannot be used: ${describe(error)}`, error)
}
