import type { Dispatch } from '../../src/backends/iptables/settings.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { iptablesFlags } from '../proxy/flags.ts'

/** How weir lays Services out in mode iptables. */
export interface Layout {
  readonly ipset: boolean
  readonly dispatch: Dispatch
}

/** As the options of the suite and its lines call them. `plain` is kube-proxy's rules, byte for byte. */
export const layouts = {
  plain: { ipset: false, dispatch: 'flat' },
  'plain+tree': { ipset: false, dispatch: 'tree' },
  ipset: { ipset: true, dispatch: 'flat' },
  'ipset+tree': { ipset: true, dispatch: 'tree' },
} as const satisfies Readonly<Record<string, Layout>>
export type LayoutName = keyof typeof layouts

export const isLayoutName = (name: string): name is LayoutName => Object.hasOwn(layouts, name)

export const layoutFlags = ({ ipset, dispatch }: Layout, variant: Variant): readonly string[] => [
  ...iptablesFlags,
  `--iptables-variant=${variant}`,
  `--iptables-ipset=${ipset}`,
  `--iptables-dispatch=${dispatch}`,
]
