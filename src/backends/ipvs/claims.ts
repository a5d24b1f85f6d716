import type { VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerName } from '../../kernel/ipvs/names.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { Claim, Laid } from './plan.ts'
import type { WantedServer } from './server-diff.ts'

/** The virtual servers that a service port wants, by name. */
export const claimsOf = ({ state, layout, mark }: Laid): ReadonlyMap<string, Claim> => {
  const { id: portId, service: tag, protocol, family } = state
  const claims = new Map<string, Claim>()
  const claim = (id: VirtualServerId, byAddress: boolean, part: Pick<Claim['wanted'], 'realServers'>, shape: Shape) => {
    const server = { id, ...shape }
    claims.set(virtualServerName(id), {
      ...{ id: portId, byAddress, wanted: { server, realServers: part.realServers, protocol, tag } },
    })
  }
  for (const server of layout.servers) {
    const { ip, port, nodePort, shape } = server
    claim({ kind: 'address', protocol, ip, port }, !nodePort, server, shape)
  }
  const { inside } = layout
  if (inside !== undefined && mark !== undefined) claim({ kind: 'mark', family, mark }, true, inside, inside.shape)
  return claims
}

type Shape = Omit<WantedServer['server'], 'id'>

/** Of several that want one virtual server (an external IP and a NodePort of a node address), always the same one has it. */
export const winner = (claims: readonly Claim[] = []): WantedServer | undefined =>
  claims.reduce<Claim | undefined>(
    (best, claim) => (best === undefined || comesBefore(claim, best) ? claim : best),
    undefined,
  )?.wanted

const comesBefore = (one: Claim, other: Claim): boolean =>
  one.byAddress === other.byAddress ? one.id < other.id : one.byAddress

/** Claims with those of some service ports changed. */
export class ClaimDelta {
  /** Of the virtual servers that these are about. */
  readonly changed = new Map<string, readonly Claim[]>()
  readonly #before: ReadonlyMap<string, readonly Claim[]>

  constructor(before: ReadonlyMap<string, readonly Claim[]>) {
    this.#before = before
  }

  remove(laid: Laid): void {
    for (const name of claimsOf(laid).keys()) this.changed.set(name, this.#others(name, laid.state.id))
  }

  add(laid: Laid): void {
    for (const [name, claim] of claimsOf(laid)) this.changed.set(name, [...this.#others(name, laid.state.id), claim])
  }

  #others(name: string, id: ServicePortId): readonly Claim[] {
    return (this.changed.get(name) ?? this.#before.get(name) ?? []).filter((claim) => claim.id !== id)
  }
}
