import { type Expr, type IPFamily, loadDaddr, loadDport, loadSaddr, meta, register } from '../../kernel/nft/expr.ts'
import { addressBytes, type Family } from '../../model/ip.ts'

/** One rule of a class chain, twice: as nft's grammar has it, and as what goes to the kernel. */
export interface ClassRule {
  /** For `weir render`. */
  readonly text: readonly string[]
  readonly exprs: readonly Expr[]
}

/** A statement in front of the translation. It may use the registers up to its end only. */
export interface Statement {
  readonly text: string
  readonly exprs: readonly Expr[]
}

/** What stands in front of a rule's own words. */
export const head = (before: readonly Statement[]): string => before.map(({ text }) => `${text} `).join('')

/** Where a rule keeps what, in four-byte register slots: keys of maps lie in consecutive ones. */
export interface Slots {
  readonly client: number
  readonly server: number
  readonly protocol: number
  readonly port: number
  /** First the picked slot, then the endpoint's address, and its port after that. */
  readonly target: number
  readonly targetPort: number
}

export const slotsOf = (family: Family): Slots => {
  const address = addressBytes(family) / 4
  const target = 2 * address + 2
  return {
    client: 0,
    server: address,
    protocol: 2 * address,
    port: 2 * address + 1,
    target,
    targetPort: target + address,
  }
}

/** The connection as the packet has it, before translation. */
export const loadConnection = (family: IPFamily, slots: Slots): readonly Expr[] => [
  loadSaddr(family, register(slots.client)),
  loadDaddr(family, register(slots.server)),
  meta('l4proto', register(slots.protocol)),
  loadDport(register(slots.port)),
]
