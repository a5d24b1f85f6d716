import { dnat, type Expr, jhash, loadSaddr, loadSport, mapTo, numgen, register } from '../../kernel/nft/expr.ts'
import { assertNever } from '../../model/assert-never.ts'
import type { HostState } from '../../model/host.ts'
import { addressBytes, type Family } from '../../model/ip.ts'
import { stickyRule } from './affinity-rules.ts'
import { clusterOffset, type Pick, type PickClass } from './class.ts'
import { type ClassRule, head, loadConnection, type Slots, type Statement, slotsOf } from './rule.ts'
import { nftFamily, type SetName } from './schema.ts'
import { markSource } from './statements.ts'
import { addressWord } from './structure.ts'

/** Fixed, so that every node and every restart sends a client to the same slot. */
const hashSeed = 0x77656972

/** One try at picking a slot. Hashes of later tries have other seeds, so a client's tries differ from each other but not over time. */
interface Try {
  readonly modulus: number
  readonly offset: number
  readonly seed: number
}

/**
 * A pick from a sparse table hits a target with a chance of at least a quarter, so after this many tries at most one
 * connection in a hundred is left over. It goes to the first quarter of the slots, which is full.
 */
const tries = 16

const triesFor = ({ table, range }: PickClass): readonly Try[] => {
  const offset = range === 'cluster' ? clusterOffset : 0
  if (table.kind === 'full') return [{ modulus: table.size, offset, seed: hashSeed }]
  const { capacity } = table
  const sparse = Array.from({ length: tries }, (_, i) => ({ modulus: capacity, offset, seed: hashSeed + i }))
  return [...sparse, { modulus: capacity / 4, offset, seed: hashSeed + tries }]
}

/** Follows a remembered endpoint if the class is sticky, else tries slots until one leads somewhere. */
export const pickRules = (chain: PickClass, host: HostState): readonly ClassRule[] => {
  const { family } = host
  const before = chain.masquerade ? [markSource(host)] : []
  const picks = triesFor(chain).map((attempt) => pickRule(chain, family, attempt, before))
  return chain.sticky ? [stickyRule(family, before), ...picks] : picks
}

const server = (chain: PickClass, family: Family): string =>
  chain.frontend === 'nodeport' ? 'meta l4proto . th dport' : `${addressWord(family)} daddr . meta l4proto . th dport`

const endpointsOf = ({ frontend }: PickClass): SetName => (frontend === 'nodeport' ? 'nodeport-endpoints' : 'endpoints')

/** Slots from which a key begins: a node port's leaves the destination address out. */
const serverSlot = ({ frontend }: PickClass, slots: Slots): number =>
  frontend === 'nodeport' ? slots.protocol : slots.server

/** Picks a slot and translates to the endpoint in it. */
const pickRule = (chain: PickClass, family: Family, attempt: Try, before: readonly Statement[]): ClassRule => {
  const slots = slotsOf(family)
  const target = register(slots.target)
  return {
    text: [
      `${head(before)}dnat to ${server(chain, family)} . ${pickText(chain.pick, family, attempt)} map @${endpointsOf(chain)}`,
    ],
    exprs: [
      ...before.flatMap(({ exprs }) => exprs),
      ...pickExprs(chain.pick, family, slots, attempt),
      mapTo(endpointsOf(chain), register(serverSlot(chain, slots)), target),
      dnat(nftFamily(family), target, register(slots.targetPort)),
    ],
  }
}

const offsetText = ({ offset }: Try): string => (offset === 0 ? '' : ` offset ${offset}`)

const hashText = (what: string, attempt: Try): string =>
  `jhash ${what} mod ${attempt.modulus} seed 0x${attempt.seed.toString(16)}${offsetText(attempt)}`

const pickText = (pick: Pick, family: Family, attempt: Try): string => {
  const ip = addressWord(family)
  switch (pick.kind) {
    case 'random':
      return `numgen random mod ${attempt.modulus}${offsetText(attempt)}`
    case 'next':
      return `numgen inc mod ${attempt.modulus}${offsetText(attempt)}`
    case 'source':
      return hashText(pick.withPort ? `${ip} saddr . th sport` : `${ip} saddr`, attempt)
    case 'destination':
      return hashText(`${ip} daddr`, attempt)
    default:
      return assertNever(pick, 'pick')
  }
}

/** Loads the connection and leaves the picked slot where the endpoint's key ends. */
const pickExprs = (pick: Pick, family: Family, slots: Slots, attempt: Try): readonly Expr[] => {
  const ip = nftFamily(family)
  const bytes = addressBytes(family)
  const to = register(slots.target)
  const connection = loadConnection(ip, slots)
  const hash = (from: number, length: number): Expr =>
    jhash(register(from), length, attempt.modulus, attempt.seed, to, attempt.offset)
  switch (pick.kind) {
    case 'random':
      return [...connection, numgen('random', attempt.modulus, to, attempt.offset)]
    case 'next':
      return [...connection, numgen('inc', attempt.modulus, to, attempt.offset)]
    case 'source':
      if (!pick.withPort) return [...connection, hash(slots.client, bytes)]
      // Hashed before the server's address takes the place behind the client's: the two parts must be neighbours.
      return [
        loadSaddr(ip, register(slots.client)),
        loadSport(register(slots.server)),
        hash(slots.client, bytes + 4),
        ...connection,
      ]
    case 'destination':
      return [...connection, hash(slots.server, bytes)]
    default:
      return assertNever(pick, 'pick')
  }
}
