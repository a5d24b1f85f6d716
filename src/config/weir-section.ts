import type { Issue } from './config-error.ts'
import type { FlagValues } from './flag-values.ts'
import type { FileSettings, Settings, WeirSettings } from './shape.ts'

/** Which of the two implementations of iptables writes the rules; `auto`: the one that the node uses already. */
export const iptablesVariants = ['auto', 'legacy', 'nft'] as const
export type IptablesVariant = (typeof iptablesVariants)[number]

/** How a packet finds the chain of its Service: past one rule after another, or down a tree of chains. */
export const iptablesDispatches = ['flat', 'tree'] as const
export type IptablesDispatch = (typeof iptablesDispatches)[number]

export const weirDefaults: WeirSettings = { iptables: { variant: 'auto', ipset: false, dispatch: 'flat' } }

/**
 * The section `weir` of a file, or undefined where it says nothing: what kube-proxy is to read too must not gain a
 * section that kube-proxy warns of.
 */
export const weirOfFile = ({ iptables }: FileSettings['weir']): Settings['weir'] => {
  const { variant, ipset, dispatch } = iptables
  if (variant === undefined && ipset === undefined && dispatch === undefined) return undefined
  return {
    iptables: {
      variant: variant || weirDefaults.iptables.variant,
      ipset: ipset ?? weirDefaults.iptables.ipset,
      dispatch: dispatch || weirDefaults.iptables.dispatch,
    },
  }
}

export const weirOfFlags = (flags: FlagValues): Settings['weir'] =>
  weirOfFile({
    iptables: {
      variant: flags['iptables-variant'],
      ipset: flags['iptables-ipset'],
      dispatch: flags['iptables-dispatch'],
    },
  })

export const weirIssues = ({ iptables: { variant, dispatch } }: WeirSettings): readonly Issue[] => [
  ...notAmong('weir.iptables.variant', variant, iptablesVariants),
  ...notAmong('weir.iptables.dispatch', dispatch, iptablesDispatches),
]

const notAmong = (field: string, value: string, known: readonly string[]): readonly Issue[] => {
  if (known.includes(value)) return []
  const supported = known.map((name) => JSON.stringify(name)).join(', ')
  return [{ field, reason: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}` }]
}
