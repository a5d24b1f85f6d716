import type { Family } from '../../model/ip.ts'
import { type Run, run as realRun } from '../exec/run.ts'
import { type Variant, variants } from './iptables.ts'
import { IptablesClient } from './iptables-client.ts'
import { IptablesError } from './iptables-error.ts'
import { findTools, type IptablesTool } from './probe.ts'
import type { Saved } from './save-parser.ts'
import { usedVariant } from './variant.ts'

export interface DetectedVariant {
  readonly variant: Variant
  /** Its programs. A family without one is missing. */
  readonly tools: ReadonlyMap<Family, IptablesTool>
  /** Things an administrator should know, each for a line of the log: rules in both variants, a variant that cannot be read. */
  readonly remarks: readonly string[]
}

/**
 * The variant that the node uses, among those installed for the first of `families`. Reads what both hold, and creates no
 * table by it. Undefined when no variant is installed; throws {@link IptablesError} when none can be read.
 */
export const detectVariant = async (
  families: readonly Family[],
  signal: AbortSignal,
  run: Run = realRun,
): Promise<DetectedVariant | undefined> => {
  const installed = new Map<Family, ReadonlyMap<Variant, IptablesTool>>()
  for (const family of families) installed.set(family, await findTools(family, signal, run))
  const toolsOf = (variant: Variant): readonly IptablesTool[] =>
    [...installed.values()].flatMap((tools) => tools.get(variant) ?? [])

  const held = new Map<Variant, readonly Held[]>()
  const failures: IptablesError[] = []
  for (const variant of variants) {
    const readable: Held[] = []
    for (const tool of toolsOf(variant)) {
      const saved = await readSaved(tool, signal, run)
      if (saved instanceof IptablesError) failures.push(saved)
      else readable.push({ family: tool.family, saved })
    }
    // The first family decides: the other one may be switched off on this node.
    if (readable.some(({ family }) => family === families[0])) held.set(variant, readable)
  }
  const [failure] = failures
  if (held.size === 0 && failure !== undefined) throw failure
  const variant = choose(held)
  if (variant === undefined) return undefined
  return {
    variant,
    tools: new Map(toolsOf(variant).map((tool) => [tool.family, tool])),
    remarks: [...bothHold(held), ...failures.map(({ message }) => `rules cannot be read: ${message}`)],
  }
}

interface Held {
  readonly family: Family
  readonly saved: Saved
}

const readSaved = async (tool: IptablesTool, signal: AbortSignal, run: Run): Promise<Saved | IptablesError> => {
  const { variant, family, program, version } = tool
  const client = new IptablesClient(variant, family, { run, program, ...(version === undefined ? {} : { version }) })
  try {
    return await client.save(signal)
  } catch (error) {
    if (error instanceof IptablesError) return error
    throw error
  }
}

const choose = (held: ReadonlyMap<Variant, readonly Held[]>): Variant | undefined => {
  const [only] = held.keys()
  if (held.size < variants.length) return only
  const saved = (variant: Variant): readonly Saved[] => (held.get(variant) ?? []).map((one) => one.saved)
  return usedVariant({ legacy: saved('legacy'), nft: saved('nft') })
}

/** Packets pass the rules of both, so a connection may be translated or dropped by rules that the other one does not show. */
const bothHold = (held: ReadonlyMap<Variant, readonly Held[]>): readonly string[] => {
  const parts = variants.map((variant) => ({
    variant,
    text: (held.get(variant) ?? []).map(countText).filter(Boolean).join('; '),
  }))
  if (parts.some(({ text }) => text === '')) return []
  return [
    `both variants of iptables hold rules: ${parts.map(({ variant, text }) => `${variant} (${text})`).join(', ')}`,
  ]
}

const countText = ({ family, saved }: Held): string => {
  const counts = saved.tables
    .filter(({ rules }) => rules.length > 0)
    .map(({ name, rules }) => `${name} ${rules.length}`)
  return counts.length === 0 ? '' : `${family}: ${counts.join(', ')}`
}
