import {
  bitwise,
  cmp,
  ct,
  dnat,
  dynset,
  type Expr,
  fibType,
  goTo,
  hostU32,
  type IPFamily,
  interfaceName,
  jhash,
  loadDaddr,
  loadDport,
  loadSaddr,
  loadSport,
  mapTo,
  meta,
  metaSet,
  numgen,
  RTN_LOCAL,
  register,
  vmap,
} from '../../kernel/nft/expr.ts'
import { assertNever } from '../../model/assert-never.ts'
import { byteMask, cidrAddress, cidrBits } from '../../model/cidr.ts'
import type { HostState } from '../../model/host.ts'
import { addressBytes, type Family, writeIP } from '../../model/ip.ts'
import { type ChainClass, className, clusterOffset, type Pick, type PickClass, type SplitClass } from './class.ts'
import { nftFamily, type SetName } from './schema.ts'
import { addressWord, podMatch, setMark } from './structure.ts'

/** One rule of a class chain, twice: as nft's grammar has it, and as what goes to the kernel. */
export interface ClassRule {
  /** For `weir render`. */
  readonly text: readonly string[]
  readonly exprs: readonly Expr[]
}

/** Fixed, so that every node and every restart sends a client to the same slot. */
const hashSeed = 0x77656972

/** Where a rule keeps what, in four-byte register slots: keys of maps lie in consecutive ones. */
interface Slots {
  readonly client: number
  readonly server: number
  readonly protocol: number
  readonly port: number
  /** First the picked slot, then the endpoint's address, and its port after that. */
  readonly target: number
  readonly targetPort: number
}

const slotsOf = (family: Family): Slots => {
  const address = addressBytes(family) / 4
  const target = 2 * address + 2
  return {
    client: 0,
    server: address,
    protocol: 2 * address,
    port: 2 * address + 1,
    target,
    targetPort: target + address,
  }
}

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

/** The rules of a class chain, in order. Pure: they follow from the class and the host's settings. */
export const classRules = (chain: ChainClass, host: HostState): readonly ClassRule[] => {
  switch (chain.kind) {
    case 'pick':
      return pickRules(chain, host)
    case 'split':
      return splitRules(chain, host)
    case 'record':
      return [recordRule(host.family, chain.seconds)]
    case 'recorder':
      return recorderRules(host.family)
    default:
      return assertNever(chain, 'chain class')
  }
}

const pickRules = (chain: PickClass, host: HostState): readonly ClassRule[] => {
  const { family } = host
  const before = chain.masquerade ? [markSource(host)] : []
  const picks = triesFor(chain).map((attempt) => pickRule(chain, family, attempt, before))
  return chain.sticky ? [stickyRule(family, before), ...picks] : picks
}

const splitRules = ({ cluster, local }: SplitClass, host: HostState): readonly ClassRule[] => {
  const pods = fromPods(host)
  const toCluster = className(cluster)
  return [
    ...(pods === undefined ? [] : [gotoRule([pods], toCluster)]),
    gotoRule([fromNode, markSource(host)], toCluster),
    ...(local === undefined ? [] : [gotoRule([], className(local))]),
  ]
}

const gotoRule = (before: readonly Statement[], chain: string): ClassRule => ({
  text: [`${head(before)}goto ${chain}`],
  exprs: [...before.flatMap(({ exprs }) => exprs), goTo(chain)],
})

/** A statement in front of the translation. It may use the registers up to its end only. */
interface Statement {
  readonly text: string
  readonly exprs: readonly Expr[]
}

const scratch = register(0)

const markSource = (host: HostState): Statement => ({
  text: setMark(host),
  exprs: [
    meta('mark', scratch),
    bitwise(scratch, scratch, hostU32(~host.masqueradeMark >>> 0), hostU32(host.masqueradeMark)),
    metaSet('mark', scratch),
  ],
})

const fromNode: Statement = {
  text: 'fib saddr type local',
  exprs: [fibType('saddr', scratch), cmp('eq', scratch, hostU32(RTN_LOCAL))],
}

const fromPods = ({ detector, family }: HostState): Statement | undefined => {
  const text = podMatch(detector, family)
  if (text === undefined) return undefined
  switch (detector.kind) {
    case 'none':
      return undefined
    case 'cidr': {
      const bytes = new Uint8Array(addressBytes(family))
      writeIP(cidrAddress(detector.cidr), bytes, 0)
      const mask = bytes.map((_, i) => byteMask(cidrBits(detector.cidr), i))
      const exprs = [
        loadSaddr(nftFamily(family), scratch),
        bitwise(scratch, scratch, mask, new Uint8Array(bytes.length)),
        cmp('eq', scratch, bytes),
      ]
      return { text, exprs }
    }
    case 'interface':
      return { text, exprs: [meta('iifname', scratch), cmp('eq', scratch, interfaceName(detector.name))] }
    case 'interfacePrefix':
      return { text, exprs: [meta('iifname', scratch), cmp('eq', scratch, interfaceName(detector.prefix, 'prefix'))] }
    default:
      return assertNever(detector, 'detector')
  }
}

const head = (before: readonly Statement[]): string => before.map(({ text }) => `${text} `).join('')

const server = (chain: PickClass, family: Family): string =>
  chain.frontend === 'nodeport' ? 'meta l4proto . th dport' : `${addressWord(family)} daddr . meta l4proto . th dport`

const endpointsOf = ({ frontend }: PickClass): SetName => (frontend === 'nodeport' ? 'nodeport-endpoints' : 'endpoints')

/** Slots from which a key begins: a node port's leaves the destination address out. */
const serverSlot = ({ frontend }: PickClass, slots: Slots): number =>
  frontend === 'nodeport' ? slots.protocol : slots.server

const loadConnection = (family: IPFamily, slots: Slots): readonly Expr[] => [
  loadSaddr(family, register(slots.client)),
  loadDaddr(family, register(slots.server)),
  meta('l4proto', register(slots.protocol)),
  loadDport(register(slots.port)),
]

/** Sends a client where it went before. */
const stickyRule = (family: Family, before: readonly Statement[]): ClassRule => {
  const slots = slotsOf(family)
  const ip = nftFamily(family)
  return {
    text: [`${head(before)}dnat to ${ip} saddr . ${ip} daddr . meta l4proto . th dport map @affinity`],
    exprs: [
      ...before.flatMap(({ exprs }) => exprs),
      ...loadConnection(ip, slots),
      mapTo('affinity', register(slots.client), register(slots.target)),
      dnat(ip, register(slots.target), register(slots.targetPort)),
    ],
  }
}

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

/** The connection as the client made it, after translation: its destination is the virtual server. */
const loadOriginal = (family: IPFamily, slots: Slots): readonly Expr[] => [
  ct(family === 'ip' ? 'ip daddr' : 'ip6 daddr', register(slots.server), 'original'),
  meta('l4proto', register(slots.protocol)),
  ct('proto-dst', register(slots.port), 'original'),
]

/**
 * The grammar of nft 1.0 takes no `ct original proto-dst` in a concatenation, though nft lists it: as text these rules
 * are comments.
 */
const onlyListed = (rule: string): string => `# ${rule}`

const recorderRules = (family: Family): readonly ClassRule[] => {
  const slots = slotsOf(family)
  const ip = nftFamily(family)
  const original = loadOriginal(ip, slots)
  return [
    {
      text: [onlyListed(`ct original ${ip} daddr . meta l4proto . ct original proto-dst vmap @sticky-services`)],
      exprs: [...original, vmap('sticky-services', register(slots.server))],
    },
    {
      text: [onlyListed('meta l4proto . ct original proto-dst vmap @sticky-nodeports')],
      exprs: [...original.slice(1), vmap('sticky-nodeports', register(slots.protocol))],
    },
  ]
}

/** Runs behind the translation: the packet's destination is the endpoint by now. An entry that exists is renewed. */
const recordRule = (family: Family, seconds: number): ClassRule => {
  const slots = slotsOf(family)
  const ip = nftFamily(family)
  const key = `${ip} saddr . ct original ${ip} daddr . meta l4proto . ct original proto-dst`
  return {
    text: [onlyListed(`update @affinity { ${key} timeout ${seconds}s : ${ip} daddr . th dport }`)],
    exprs: [
      loadSaddr(ip, register(slots.client)),
      ...loadOriginal(ip, slots),
      loadDaddr(ip, register(slots.target)),
      loadDport(register(slots.targetPort)),
      dynset('update', 'affinity', register(slots.client), register(slots.target), seconds * 1000),
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
