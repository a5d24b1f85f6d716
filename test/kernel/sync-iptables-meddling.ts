import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { saved } from './sync-iptables-tools.ts'

export interface Meddling {
  readonly what: string
  readonly commands: readonly string[]
}

/** The chain that the cluster IP of a Service leads to. */
export const chainOf = (variant: Variant, service: string): string => {
  const found = new RegExp(`"${service} cluster IP".* -j (KUBE-SV\\S+)`).exec(saved(variant, 'IPv4'))
  if (found?.[1] === undefined) throw new Error(`no chain of ${service}`)
  return found[1]
}

/** What somebody does to the rules of a plain layout with this Service, in tables nat and filter of IPv4. */
export const meddlings = (variant: Variant, service: string): readonly Meddling[] => {
  const chain = chainOf(variant, service)
  const rule = (to: string): string => `-t nat -A ${to} -d 9.9.9.9 -j ACCEPT`
  return [
    { what: 'KUBE-SERVICES of nat flushed', commands: ['-t nat -F KUBE-SERVICES'] },
    { what: 'KUBE-SERVICES of filter flushed', commands: ['-t filter -F KUBE-SERVICES'] },
    { what: 'all of nat flushed', commands: ['-t nat -F'] },
    { what: 'all of nat flushed and deleted', commands: ['-t nat -F', '-t nat -X'] },
    {
      what: 'everything flushed and deleted',
      commands: ['-t nat -F', '-t nat -X', '-t filter -F', '-t filter -X', '-t mangle -F', '-t mangle -X'],
    },
    { what: 'a chain of a Service flushed', commands: [`-t nat -F ${chain}`] },
    {
      what: 'a chain of a Service deleted',
      commands: ['-t nat -F KUBE-SERVICES', `-t nat -F ${chain}`, `-t nat -X ${chain}`],
    },
    { what: 'a rule in the chain of a Service', commands: [rule(chain)] },
    { what: 'rules in front', commands: ['-t nat -I KUBE-SERVICES -j ACCEPT', '-t filter -I KUBE-FORWARD -j DROP'] },
    { what: 'a rule twice', commands: ['-t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN'] },
    { what: 'a rule behind the gate to the node ports', commands: [rule('KUBE-SERVICES')] },
    { what: 'a fixed rule deleted', commands: ['-t nat -D KUBE-MARK-MASQ 1', '-t filter -D KUBE-FORWARD 2'] },
    {
      what: 'jumps deleted',
      commands: ['-t nat -F PREROUTING', '-t nat -F OUTPUT', '-t filter -F FORWARD', '-t nat -F POSTROUTING'],
    },
    { what: 'the canary deleted', commands: ['-t mangle -X KUBE-PROXY-CANARY'] },
    {
      what: 'a chain that looks like ours',
      commands: ['-t nat -N KUBE-SVC-AAAAAAAAAAAAAAAA', rule('KUBE-SVC-AAAAAAAAAAAAAAAA')],
    },
    {
      what: 'a tree that looks like ours',
      commands: ['-t nat -N WEIR-X', rule('WEIR-X'), '-t nat -N WEIR-Y', '-t nat -A WEIR-Y -j WEIR-X'],
    },
  ]
}
