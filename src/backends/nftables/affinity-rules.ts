import {
  ct,
  dnat,
  dynset,
  type Expr,
  type IPFamily,
  loadDaddr,
  loadDport,
  loadSaddr,
  mapTo,
  meta,
  register,
  vmap,
} from '../../kernel/nft/expr.ts'
import type { Family } from '../../model/ip.ts'
import { type ClassRule, head, loadConnection, type Slots, type Statement, slotsOf } from './rule.ts'
import { nftFamily } from './schema.ts'

/** Sends a client where it went before. */
export const stickyRule = (family: Family, before: readonly Statement[]): ClassRule => {
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

/** Sends a connection to the chain that remembers it for as long as its virtual server asks. */
export const recorderRules = (family: Family): readonly ClassRule[] => {
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
export const recordRule = (family: Family, seconds: number): ClassRule => {
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
