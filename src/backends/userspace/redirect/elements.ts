import { cidrAddress, cidrBits, cidrFamily, hostCidr, maxBits, mergeCidrs } from '../../../model/cidr.ts'
import type { ServiceState } from '../../../model/desired.ts'
import type { HostState } from '../../../model/host.ts'
import type { IP } from '../../../model/ip.ts'
import { protocolWord } from '../../../model/protocol.ts'
import { type Entrance, entrancesOf, type Fate, fateOf, listNames, serverId, targetsOf } from '../entrances.ts'
import type { SetName } from './schema.ts'

/** What an element of a map leads to. A listener is named by its id: its port is known once it listens. */
export type ElementValue =
  | { readonly kind: 'listener'; readonly id: string }
  | { readonly kind: 'refuse' }
  | { readonly kind: 'drop' }

/** `key` as nft writes it. */
export interface RedirectElement {
  readonly set: SetName
  readonly key: string
  readonly value: ElementValue | undefined
}

export const elementId = ({ set, key }: Pick<RedirectElement, 'set' | 'key'>): string => `${set} ${key}`

/** What of the table belongs to one service port, except the sockets of its listeners. SCTP is left to others. */
export const elementsOf = (state: ServiceState, host: HostState): readonly RedirectElement[] => {
  if (state.protocol === 'SCTP') return []
  return [
    ...entrancesOf(state).flatMap((entrance) => entranceElements(state, entrance)),
    ...guards(state),
    ...own(state, host),
  ]
}

const entranceElements = (state: ServiceState, { place, inside, outside }: Entrance): readonly RedirectElement[] => {
  const word = protocolWord[state.protocol]
  const onNode = place.kind === 'nodePort'
  const key = onNode ? `${word} . ${place.port}` : `${place.ip} . ${word} . ${place.port}`
  const of = (prefix: '' | 'outside-', list: typeof inside): RedirectElement => {
    const fate = fateOf(state, list)
    if (fate !== 'served')
      return { set: `${prefix}refused-${onNode ? 'nodeports' : 'services'}`, key, value: refusal[fate] }
    const value = { kind: 'listener', id: serverId(state, list) } as const
    return { set: `${prefix}${onNode ? 'nodeports' : 'services'}`, key, value }
  }
  return inside === outside ? [of('', inside)] : [of('', inside), of('outside-', outside)]
}

const refusal = { refused: { kind: 'refuse' }, dropped: { kind: 'drop' } } as const satisfies Record<
  Exclude<Fate, 'served'>,
  ElementValue
>

/** S7: the ranges hold whether or not there are endpoints. */
const guards = (state: ServiceState): readonly RedirectElement[] => {
  const { sourceRanges, loadBalancerIPs } = state
  if (sourceRanges === undefined) return []
  return loadBalancerIPs.flatMap((ip): readonly RedirectElement[] => {
    const key = serverKey(ip, state)
    // The node's own packets to a VIP that is on one of its interfaces have it as their source.
    const allowed = mergeCidrs(state.nodeInSourceRanges ? [...sourceRanges, hostCidr(ip)] : sourceRanges)
    return [
      { set: 'guarded-services', key, value: undefined },
      ...allowed.map((cidr): RedirectElement => {
        const single = cidrBits(cidr) === maxBits(cidrFamily(cidr))
        return { set: 'allowed-sources', key: `${key} . ${single ? cidrAddress(cidr) : cidr}`, value: undefined }
      }),
    ]
  })
}

/** Endpoints that a connection of this process would not get to, but come back to it. */
const own = (state: ServiceState, { addresses }: HostState): readonly RedirectElement[] => {
  const virtual = new Set<IP>(entrancesOf(state).flatMap(({ place }) => (place.kind === 'nodePort' ? [] : [place.ip])))
  const here = new Set(addresses)
  const keys = new Set<string>()
  for (const list of listNames)
    for (const { ip, port } of targetsOf(state, list))
      if (here.has(ip) || (virtual.has(ip) && port === state.port))
        keys.add(`${ip} . ${protocolWord[state.protocol]} . ${port}`)
  return [...keys].map((key) => ({ set: 'own-endpoints', key, value: undefined }))
}

const serverKey = (ip: IP, { protocol, port }: ServiceState): string => `${ip} . ${protocolWord[protocol]} . ${port}`

/** The part of the sets that follows the node alone. */
export const hostElements = ({ nodePortAddresses }: HostState): readonly RedirectElement[] =>
  nodePortAddresses.kind === 'all'
    ? []
    : nodePortAddresses.addresses.map((ip) => ({ set: 'nodeport-ips', key: ip, value: undefined }))
