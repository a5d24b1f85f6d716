import type { HostState } from '../../model/host.ts'
import type { FixedLayout } from '../rules/fixed-layout.ts'
import { acceptKnown, acceptMarked, fixedChain, markChain, masqueradeMarked } from '../rules/fixed-rules.ts'
import { filterHooks, natHooks } from './fixed-hooks.ts'
import { canary, dropInvalid, firewallChain, nodePortGate } from './fixed-rules.ts'
import type { IptablesSettings } from './settings.ts'

/** kube-proxy's fixed chains and jumps, word by word. */
export const fixedPlain = (host: HostState, settings: IptablesSettings): FixedLayout => ({
  filter: {
    chains: [
      fixedChain('KUBE-SERVICES'),
      fixedChain('KUBE-EXTERNAL-SERVICES'),
      fixedChain('KUBE-FORWARD', ...dropInvalid(settings), acceptMarked(host), acceptKnown),
      fixedChain('KUBE-NODEPORTS'),
      fixedChain('KUBE-PROXY-FIREWALL'),
      firewallChain(settings),
      canary,
    ],
    hooks: filterHooks,
  },
  nat: {
    chains: [
      { name: 'KUBE-SERVICES', head: [], tail: nodePortGate(host, settings) },
      fixedChain('KUBE-NODEPORTS'),
      fixedChain('KUBE-POSTROUTING', ...masqueradeMarked(host, settings)),
      markChain(host),
      canary,
    ],
    hooks: natHooks,
  },
  mangle: { chains: [canary], hooks: [] },
})
