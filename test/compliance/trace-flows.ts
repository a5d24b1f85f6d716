import { type Family, type IP, parseIP } from '../../src/model/ip.ts'
import { type Protocol, protocolWord } from '../../src/model/protocol.ts'
import { toChanges } from '../../src/source/objects/to-changes.ts'
import { TrackedDesired } from '../../src/sync/tracked-desired.ts'
import { Tracker } from '../../src/track/tracker.ts'
import type { FlowCase, Packet, Settings } from '../flows/flow.ts'
import { type Net, nets, nodeName, type Place, podNames, podPorts } from '../flows/net.ts'
import { vipOnNode } from '../flows/source-ranges.ts'
import { deviceOf } from './devices.ts'
import type { Fate, PacketTracer } from './fate.ts'
import { defaultSettings } from './settings.ts'
import type { Tracing } from './tracing.ts'
import { withNode } from './with-node.ts'

const nodeAddresses: readonly string[] = nets.flatMap((net) => [
  net.at.node,
  net.nodeSecond,
  net.loopback,
  net.vip(vipOnNode),
])
export const isNodeAddress = (address: string): boolean => nodeAddresses.includes(address)

const servers: ReadonlyMap<string, string> = new Map<string, string>(
  nets.flatMap((net) =>
    [...podNames, 'node' as const].map((name) => [`${net.at[name]} ${podPorts[0]}`, name] as const),
  ),
)

export interface TracedFlow {
  readonly packet: Packet
  /** What was seen and what is wanted, as sorted lists. */
  readonly got: readonly string[]
  readonly wanted: readonly string[]
}
export type FamilyTracers = Readonly<Record<Family, PacketTracer>>

/** Plays a case on the rendered text alone. */
export const traceCase = (flow: FlowCase, protocol: Protocol, tracing: Tracing): readonly TracedFlow[] =>
  traceOn(flow, protocol, tracersOf(flow, tracing))

/** Plays the packets of a case. */
export const traceOn = (flow: FlowCase, protocol: Protocol, tracers: FamilyTracers): readonly TracedFlow[] =>
  flow.packets.map((packet) => {
    const net = nets.find(({ family }) => (family === 'IPv6') === packet.to.includes(':')) ?? nets[0]
    const fates = tracers[net.family].trace({
      saddr: packet.source ?? sourceOf(packet.from, packet.to, net),
      daddr: packet.to,
      protocol: protocolWord[protocol],
      dport: packet.port,
      iifname: packet.from === 'node' ? '' : deviceOf(packet.from),
      mark: 0,
      translated: false,
      masqueraded: false,
    })
    return { packet, got: [...new Set(fates.map((fate) => fateText(fate, net)))].sort(), wanted: wantedOf(packet) }
  })

/** The node speaks to an address of its own as that address. */
const sourceOf = (from: Place, to: string, net: Net): string =>
  from === 'node' && isNodeAddress(to) ? to : net.at[from]

/** The node as it is in the scene. */
export const nodeInterfaceAddresses: readonly IP[] = nodeAddresses.map(parseIP).filter((ip) => ip !== undefined)

const tracersOf = (flow: FlowCase, { tracer, traits, furnish }: Tracing): FamilyTracers => {
  const settings: Settings = { ...defaultSettings, loopbackNodePorts: traits.localhostNodePorts, ...flow.settings }
  const tracker = new Tracker({ startedAt: 0 })
  tracker.apply(toChanges({ kind: 'List', apiVersion: 'v1', items: furnish(withNode(flow.objects)) }, settings).changes)
  const desired = new TrackedDesired({
    tracker,
    settings,
    nodeName,
    supportedSchedulers: traits.schedulers,
    interfaceAddresses: () => nodeInterfaceAddresses,
  })
  const of = (family: Family): PacketTracer => {
    const states = [...desired.keys()].flatMap((key) => desired.states(family, key))
    return tracer(desired.host(family), states, isNodeAddress)
  }
  return { IPv4: of('IPv4'), IPv6: of('IPv6') }
}

const fateText = (fate: Fate, { at }: Net): string => {
  if (fate.kind !== 'on') return fate.kind
  const { packet } = fate
  if (!packet.translated) return 'untouched'
  const server = servers.get(`${packet.daddr} ${packet.dport}`) ?? `${packet.daddr} port ${packet.dport}`
  return `${server} sees ${packet.masqueraded ? at.node : packet.saddr}${packet.mark === 0 || isNodeAddress(packet.daddr) ? '' : ' with a mark'}`
}

const wantedOf = ({ from, to, source, expect }: Packet): readonly string[] => {
  switch (expect.kind) {
    case 'refused':
      return ['reject']
    case 'dropped':
      return ['drop']
    case 'untouched':
      return ['untouched']
    case 'answered': {
      const net = nets.find(({ family }) => (family === 'IPv6') === to.includes(':')) ?? nets[0]
      const own = source ?? sourceOf(from, to, net)
      return [...expect.by].sort().map((name) => `${name} sees ${expect.sees === 'node' ? net.at.node : own}`)
    }
  }
}
