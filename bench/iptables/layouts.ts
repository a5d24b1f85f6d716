import type { Dispatch } from '../../src/backends/iptables/settings.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { iptablesFlags } from '../proxy/flags.ts'

/** How weir lays Services out in mode iptables. */
export interface Layout {
  readonly ipset: boolean
  readonly dispatch: Dispatch
}

/** kube-proxy's rules, byte for byte. */
export const plain: Layout = { ipset: false, dispatch: 'flat' }
export const tree: Layout = { ipset: false, dispatch: 'tree' }
export const sets: Layout = { ipset: true, dispatch: 'flat' }
export const setsAndTree: Layout = { ipset: true, dispatch: 'tree' }

export const layoutName = ({ ipset, dispatch }: Layout): string =>
  [ipset ? 'ipset' : 'plain', ...(dispatch === 'tree' ? ['tree'] : [])].join(' + ')

export const layoutFlags = ({ ipset, dispatch }: Layout, variant: Variant): readonly string[] => [
  ...iptablesFlags,
  `--iptables-variant=${variant}`,
  `--iptables-ipset=${ipset}`,
  `--iptables-dispatch=${dispatch}`,
]
