import { renderIptables } from '../../src/backends/iptables/text.ts'
import { renderTable } from '../../src/backends/nftables/text.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'
import type { Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import type { PacketTracer } from './fate.ts'
import { readIpsets } from './ipset-text.ts'
import { readRestore } from './iptables-text.ts'
import { IptablesTracer } from './iptables-tracer.ts'
import { furnish, type IptablesLayout, iptablesTraits, layoutName } from './iptables-traits.ts'
import { nftTraits } from './nftables.ts'
import { parseRuleset } from './ruleset.ts'
import { Tracer } from './tracer.ts'

/** A backend's text in place of a kernel. */
export interface Tracing {
  readonly name: string
  readonly traits: Traits
  /** Adds what a cluster needs besides for the backend to show what it does. */
  readonly furnish: (objects: readonly Manifest[]) => readonly Manifest[]
  /** `isLocal`: whether an address is the node's own. */
  readonly tracer: (
    host: HostState,
    states: readonly ServiceState[],
    isLocal: (address: string) => boolean,
  ) => PacketTracer
}

export const nftTracing: Tracing = {
  name: 'nftables',
  traits: nftTraits,
  furnish: (objects) => objects,
  tracer: (host, states, isLocal) => new Tracer(parseRuleset(renderTable(host, states)), isLocal),
}

export const iptablesTracing = (layout: IptablesLayout): Tracing => ({
  name: `iptables ${layoutName(layout)}`,
  traits: iptablesTraits,
  furnish: (objects) => furnish(layout, objects),
  tracer: (host, states, isLocal) => {
    const { family } = host
    const text = renderIptables(host, states, {
      family,
      localhostNodePorts: iptablesTraits.localhostNodePorts && family === 'IPv4',
      dropInvalid: true,
      randomFully: true,
      nfacct: true,
      ...layout,
    })
    return new IptablesTracer(readRestore(text), { sets: readIpsets(setsOf(text)), isLocal })
  },
})

/** Sets are in comments, for iptables-restore has no words for them. */
const setsOf = (text: string): string =>
  [...text.matchAll(/^# ipset (.*)$/gm)].map(([, command = '']) => command).join('\n')
