import { commentLimit } from '../../kernel/nft/constants.ts'
import { type Cidr, cidrFamily, cidrRange, hostCidr, mergeCidrs } from '../../model/cidr.ts'
import type { ServiceState, Target } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { type IP, readIP } from '../../model/ip.ts'
import type { ServicePortId } from '../../model/names.ts'
import {
  type ChainClass,
  className,
  clusterOffset,
  type PickClass,
  pickFor,
  type Range,
  type RecordClass,
  recorder,
  recorderName,
  slotTableFor,
} from './class.ts'
import type { Element, Part } from './element.ts'
import type { SetName } from './schema.ts'
import { isNftScheduler, type NftScheduler, slotTable } from './slots.ts'
import { rejectChain } from './structure.ts'

/** Where a layout goes. Elements of shared sets may come several times, from several services. */
export interface LayoutSink {
  element(element: Element): void
  /** Instead of an element for each slot, for those who can do without: nine elements in ten are slots. */
  slots?(run: SlotRun): void
  /** A chain that an element of this layout points to. */
  chain(name: string, chain: ChainClass): void
}

/** The slots of one frontend: its key, and the target that each slot from `offset` on leads to. */
export interface SlotRun {
  readonly set: 'endpoints' | 'nodeport-endpoints'
  readonly key: readonly Part[]
  readonly offset: number
  readonly targets: readonly Target[]
}

/** Either a destination address with its port, or a node port on any accepting address. */
export interface Frontend {
  readonly ip: IP | undefined
  readonly port: number
  readonly policy: 'Cluster' | 'Local'
  readonly external: boolean
}

interface Slots {
  readonly scheduler: NftScheduler
  readonly cluster: readonly Target[]
  readonly local: readonly Target[]
}

/** Everything in our sets and chains that one virtual server needs, in a fixed order. */
export const layOutService = (state: ServiceState, sink: LayoutSink): void => {
  const { scheduling } = state
  const slots: Slots = {
    scheduler: isNftScheduler(scheduling.scheduler) ? scheduling.scheduler : 'random',
    cluster: slotTable(state.cluster, scheduling),
    local: slotTable(state.local, scheduling),
  }
  if (state.clusterIP !== undefined) {
    sink.element({ set: 'cluster-ips', key: [state.clusterIP], value: undefined, comment: undefined })
  }
  for (const frontend of frontendsOf(state)) layOutFrontend(state, frontend, slots, sink)
  layOutGuards(state, sink)
  layOutHairpins(state, sink)
}

export const frontendsOf = (state: ServiceState): readonly Frontend[] => {
  const list: Frontend[] = []
  const { clusterIP, port, nodePort, internalPolicy, externalPolicy: policy } = state
  if (clusterIP !== undefined) list.push({ ip: clusterIP, port, policy: internalPolicy, external: false })
  for (const ip of externalAddresses(state)) list.push({ ip, port, policy, external: true })
  if (nodePort !== undefined) list.push({ ip: undefined, port: nodePort, policy, external: true })
  return list
}

const externalAddresses = ({ clusterIP, externalIPs, loadBalancerIPs }: ServiceState): ReadonlySet<IP> => {
  const addresses = new Set([...loadBalancerIPs, ...externalIPs])
  if (clusterIP !== undefined) addresses.delete(clusterIP)
  return addresses
}

const layOutFrontend = (state: ServiceState, frontend: Frontend, slots: Slots, sink: LayoutSink): void => {
  const refusal = refusalFor(state, frontend)
  if (refusal !== undefined) {
    sink.element({
      set: frontend.ip === undefined ? 'no-endpoint-nodeports' : 'no-endpoint-services',
      key: frontendKey(state, frontend),
      value: refusal === 'drop' ? { kind: 'drop' } : { kind: 'goto', chain: rejectChain },
      comment: commentOf(state),
    })
  }
  const split = frontend.external && frontend.policy === 'Local'
  // Under an external policy of Local, pods and the node itself still reach every endpoint.
  const cluster = split || frontend.policy === 'Cluster' ? slots.cluster : []
  const local = frontend.policy === 'Local' ? slots.local : []
  const total = cluster.length + local.length
  if (total === 0 || (split && cluster.length === 0)) return

  const pick = (range: Range, count: number, masquerade: boolean): PickClass => ({
    kind: 'pick',
    frontend: frontend.ip === undefined ? 'nodeport' : 'address',
    scheduler: slots.scheduler,
    pick: pickFor(slots.scheduler, state.scheduling, ownerName(state.id)),
    table: slotTableFor(slots.scheduler, count),
    range,
    masquerade,
    sticky: state.affinitySeconds !== undefined,
  })
  const chain: ChainClass = split
    ? {
        kind: 'split',
        cluster: pick('cluster', cluster.length, false),
        local: local.length === 0 ? undefined : pick('local', local.length, false),
      }
    : pick('all', total, frontend.external)
  if (chain.kind === 'split') {
    for (const part of [chain.cluster, chain.local]) if (part !== undefined) sink.chain(className(part), part)
  }
  const name = className(chain)
  sink.chain(name, chain)
  sink.element({
    set: frontend.ip === undefined ? 'nodeports' : 'services',
    key: frontendKey(state, frontend),
    value: { kind: 'goto', chain: name },
    comment: commentOf(state),
  })
  layOutSlots(state, frontend, local, 0, sink)
  layOutSlots(state, frontend, cluster, split ? clusterOffset : 0, sink)
  if (state.affinitySeconds !== undefined) layOutAffinity(state, frontend, state.affinitySeconds, sink)
}

/** Reject when there is nothing anywhere, drop when it is only not here: the client should try another node. */
const refusalFor = (state: ServiceState, { policy }: Frontend): 'reject' | 'drop' | undefined => {
  if (!state.hasEndpoints) return 'reject'
  if (policy === 'Local') return state.local.length === 0 ? 'drop' : undefined
  return state.cluster.length === 0 ? 'reject' : undefined
}

export const frontendKey = ({ protocol }: ServiceState, { ip, port }: Frontend): readonly Part[] =>
  ip === undefined ? [protocol, port] : [ip, protocol, port]

/** What a comment has room for: the kernel gives back no more, and nft reads no more. */
const commentOf = ({ name }: ServiceState): string => name.slice(0, commentLimit)

/** A service port id as nft's grammar takes it in a chain's name: it knows no colons. */
const ownerName = (id: ServicePortId): string => id.replaceAll(':', '/')

const layOutSlots = (
  state: ServiceState,
  frontend: Frontend,
  targets: readonly Target[],
  offset: number,
  sink: LayoutSink,
): void => {
  if (targets.length === 0) return
  const set = frontend.ip === undefined ? 'nodeport-endpoints' : 'endpoints'
  const run: SlotRun = { set, key: frontendKey(state, frontend), offset, targets }
  if (sink.slots === undefined) for (const element of slotElements(run)) sink.element(element)
  else sink.slots(run)
}

/** The same, element by element. */
export const slotElements = ({ set, key, offset, targets }: SlotRun): readonly Element[] =>
  targets.map(({ ip, port }, i) => ({ set, key: [...key, offset + i], value: [ip, port], comment: undefined }))

/** Connections to this frontend are remembered, by a chain that knows for how long. */
const layOutAffinity = (state: ServiceState, frontend: Frontend, seconds: number, sink: LayoutSink): void => {
  const record: RecordClass = { kind: 'record', seconds }
  const chain = className(record)
  sink.chain(recorderName, recorder)
  sink.chain(chain, record)
  sink.element({
    set: frontend.ip === undefined ? 'sticky-nodeports' : 'sticky-services',
    key: frontendKey(state, frontend),
    value: { kind: 'goto', chain },
    comment: commentOf(state),
  })
}

const layOutGuards = (state: ServiceState, sink: LayoutSink): void => {
  const { sourceRanges, loadBalancerIPs, protocol, port } = state
  if (sourceRanges === undefined) return
  const vips = state.nodeInSourceRanges ? loadBalancerIPs.map(hostCidr) : []
  const allowed = mergeCidrs([...sourceRanges, ...vips])
  for (const ip of loadBalancerIPs) {
    sink.element({ set: 'guarded-services', key: [ip, protocol, port], value: undefined, comment: commentOf(state) })
    for (const network of allowed) {
      sink.element({ set: 'allowed-sources', key: [ip, protocol, port, network], value: undefined, comment: undefined })
    }
  }
}

const layOutHairpins = ({ cluster, local, protocol }: ServiceState, sink: LayoutSink): void => {
  for (const targets of [cluster, local]) {
    for (const { ip, port, local: here } of targets) {
      if (!here) continue
      sink.element({ set: 'hairpin-connections', key: [ip, ip, protocol, port], value: undefined, comment: undefined })
    }
  }
}

/** The elements that follow from the host alone. */
export const hostElements = ({ nodePortAddresses, serviceCidrs }: HostState): readonly Element[] => {
  const elements: Element[] = []
  const add = (set: SetName, part: Part): void => {
    elements.push({ set, key: [part], value: undefined, comment: undefined })
  }
  if (nodePortAddresses.kind === 'some') for (const ip of nodePortAddresses.addresses) add('nodeport-ips', ip)
  for (const cidr of mergeCidrs(serviceCidrs)) for (const part of boundaries(cidr)) add('service-cidrs', part)
  return elements
}

/** An interval has no end element when it reaches the last address there is. */
const boundaries = (cidr: Cidr): readonly Part[] => {
  const family = cidrFamily(cidr)
  const { first, last } = cidrRange(cidr)
  const begin = `begin ${readIP(family, first, 0)}` as const
  if (last.every((byte) => byte === 0xff)) return [begin]
  return [begin, `end ${readIP(family, increment(last), 0)}`]
}

const increment = (address: Uint8Array): Uint8Array => {
  const next = address.slice()
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = ((next[i] ?? 0) + 1) & 0xff
    if (next[i] !== 0) break
  }
  return next
}
