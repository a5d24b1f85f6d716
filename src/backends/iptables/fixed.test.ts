import { describe, expect, it } from 'vitest'
import { ip } from '../../../test/property/track-objects.ts'
import { hostOf, settingsOf } from '../../../test/support/iptables-layouts.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families } from '../../model/ip.ts'
import type { FixedChain, FixedTable } from '../rules/fixed-layout.ts'
import { fixedLayout } from './fixed.ts'
import type { IptablesSettings } from './settings.ts'

interface Given {
  readonly host?: Partial<HostState>
  readonly settings?: Partial<IptablesSettings>
}

const laidOut = (family: Family, { host, settings }: Given = {}) =>
  fixedLayout(hostOf(family, host), settingsOf(family, settings))

const chainOf = ({ chains }: FixedTable, name: string): FixedChain => {
  const found = chains.find((chain) => chain.name === name)
  if (found === undefined) throw new Error(`no chain ${name}`)
  return found
}

/** Where a packet goes in a built-in chain of a clean node, once every hook has been put before those above it. */
const order = ({ hooks }: FixedTable, chain: string): readonly (string | undefined)[] =>
  hooks
    .filter((hook) => hook.chain === chain)
    .map(({ rule }) => rule.split(' ').at(-1))
    .toReversed()

describe.each(families)('in %s', (family) => {
  it.each([false, true])('hooks are kube-proxy’s, with ipset %s', (ipset) => {
    const { filter, nat, mangle } = laidOut(family, { settings: { ipset } })
    expect(order(filter, 'INPUT')).toEqual([
      'KUBE-FIREWALL',
      'KUBE-PROXY-FIREWALL',
      'KUBE-NODEPORTS',
      'KUBE-EXTERNAL-SERVICES',
    ])
    expect(order(filter, 'FORWARD')).toEqual([
      'KUBE-PROXY-FIREWALL',
      'KUBE-FORWARD',
      'KUBE-SERVICES',
      'KUBE-EXTERNAL-SERVICES',
    ])
    expect(order(filter, 'OUTPUT')).toEqual(['KUBE-FIREWALL', 'KUBE-PROXY-FIREWALL', 'KUBE-SERVICES'])
    expect(nat.hooks.map(({ chain, rule }) => `${chain} ${rule}`)).toEqual([
      'OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      'PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      'POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    ])
    expect(mangle.hooks).toEqual([])
    for (const table of [filter, nat, mangle]) {
      expect(chainOf(table, 'KUBE-PROXY-CANARY')).toEqual({ name: 'KUBE-PROXY-CANARY', head: [], tail: [] })
    }
  })

  it.each([false, true])('every jump leads to a chain that is there, with ipset %s', (ipset) => {
    const { filter, nat } = laidOut(family, { settings: { ipset } })
    for (const { chains, hooks } of [filter, nat]) {
      const rules = [...chains.flatMap(({ head, tail }) => [...head, ...tail]), ...hooks.map(({ rule }) => rule)]
      const targets = rules.map((rule) => / -j ((?:KUBE|WEIR)-\S+)$/.exec(` ${rule}`)?.[1])
      const found = new Set(targets.filter((target) => target !== undefined))
      expect(found.size).toBeGreaterThan(2)
      for (const target of found) expect(chains.map(({ name }) => name)).toContain(target)
    }
  })
})

describe('kubelet’s chain', () => {
  it('holds a rule where localhost NodePorts are served, and is left alone elsewhere', () => {
    const firewall = (family: Family, localhostNodePorts: boolean) =>
      chainOf(laidOut(family, { settings: { localhostNodePorts } }).filter, 'KUBE-FIREWALL')
    expect(firewall('IPv4', true)).toEqual({
      name: 'KUBE-FIREWALL',
      head: [
        '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8' +
          ' -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
      ],
      tail: [],
    })
    const untouched = { name: 'KUBE-FIREWALL', head: [], tail: [], shared: true }
    expect(firewall('IPv4', false)).toEqual(untouched)
    expect(firewall('IPv6', true)).toEqual(untouched)
  })
})

describe('forwarding', () => {
  const forward = (settings: Partial<IptablesSettings>) =>
    chainOf(laidOut('IPv4', { settings }).filter, 'KUBE-FORWARD').head
  const accepts = [
    '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x00004000/0x00004000 -j ACCEPT',
    '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  ]

  it('drops INVALID packets unless conntrack is liberal, and counts them where it can', () => {
    expect(forward({ dropInvalid: false })).toEqual(accepts)
    expect(forward({ nfacct: false })).toEqual(['-m conntrack --ctstate INVALID -j DROP', ...accepts])
    expect(forward({})[0]).toBe(
      '-m conntrack --ctstate INVALID -m nfacct --nfacct-name ct_state_invalid_dropped_pkts -j DROP',
    )
  })

  it('accepts endpoints that reach themselves, whose packets carry no mark with ipset', () => {
    const own = '-m conntrack --ctstate DNAT -m set --match-set WEIR-4-LOOP-BACK dst,dst,src -j ACCEPT'
    expect(forward({ ipset: true, dropInvalid: false })).toEqual([
      ...accepts,
      `-m comment --comment "endpoints that reach themselves" ${own}`,
    ])
  })
})

describe('masquerading', () => {
  const host = { masqueradeMark: 0x1 }
  const nat = (settings: Partial<IptablesSettings> = {}) => laidOut('IPv4', { host, settings }).nat
  const marked = (options: string) => [
    '-m mark ! --mark 0x00000001/0x00000001 -j RETURN',
    '-j MARK --xor-mark 0x00000001',
    `-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE${options}`,
  ]

  it('is for marked packets, with random ports where the tool can', () => {
    expect(chainOf(nat(), 'KUBE-POSTROUTING').head).toEqual(marked(' --random-fully'))
    expect(chainOf(nat({ randomFully: false }), 'KUBE-POSTROUTING').head).toEqual(marked(''))
    expect(chainOf(nat(), 'KUBE-MARK-MASQ').head).toEqual(['-j MARK --or-mark 0x00000001'])
  })

  it('marks endpoints that reach themselves with ipset, so that the mark is cleared for them too', () => {
    const own = '-m conntrack --ctstate DNAT -m set --match-set WEIR-4-LOOP-BACK dst,dst,src -j KUBE-MARK-MASQ'
    expect(chainOf(nat({ ipset: true }), 'KUBE-POSTROUTING').head).toEqual([
      `-m comment --comment "masquerade endpoints that reach themselves" ${own}`,
      ...marked(' --random-fully'),
    ])
  })

  it('of cluster IPs follows detection and masqueradeAll with ipset', () => {
    const first = (over: Partial<HostState>) =>
      chainOf(laidOut('IPv6', { host: over, settings: { ipset: true } }).nat, 'KUBE-SERVICES').head[0]
    const set = '-m set --match-set WEIR-6-CLUSTER-IP dst,dst'
    const detector = { kind: 'none' } as const
    expect(first({})).toContain(`${set} ! -s fd00:10::/64 -j KUBE-MARK-MASQ`)
    expect(first({ masqueradeAll: true })).toContain(`${set} -j KUBE-MARK-MASQ`)
    expect(first({ detector, masqueradeAll: true })).toContain(`${set} -j KUBE-MARK-MASQ`)
    expect(first({ detector })).toContain('WEIR-6-EXTERNAL')
  })
})

describe('the gate to NodePorts', () => {
  const comment = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
  const gate = (family: Family, given: Given) => chainOf(laidOut(family, given).nat, 'KUBE-SERVICES').tail
  const rules = (...matches: readonly string[]) => matches.map((match) => `${comment} ${match} -j KUBE-NODEPORTS`)
  const some = (...addresses: readonly string[]) =>
    ({ nodePortAddresses: { kind: 'some', addresses: addresses.map(ip) } }) as const

  it('is every address of the node, but loopback where it is not served', () => {
    const local = '-m addrtype --dst-type LOCAL'
    expect(gate('IPv4', {})).toEqual(rules(local))
    expect(gate('IPv4', { settings: { localhostNodePorts: false } })).toEqual(rules(`${local} ! -d 127.0.0.0/8`))
    expect(gate('IPv6', {})).toEqual(rules(`${local} ! -d ::1/128`))
  })

  it('is one address each when there are some', () => {
    const host = some('192.0.2.1', '127.0.0.1', '198.51.100.1')
    expect(gate('IPv4', { host })).toEqual(rules('-d 192.0.2.1', '-d 127.0.0.1', '-d 198.51.100.1'))
    expect(gate('IPv4', { host, settings: { localhostNodePorts: false } })).toEqual(
      rules('-d 192.0.2.1', '-d 198.51.100.1'),
    )
    expect(gate('IPv6', { host: some('::1', '2001:db8::1') })).toEqual(rules('-d 2001:db8::1'))
    expect(gate('IPv4', { host: some() })).toEqual([])
  })

  it('lets only NodePorts through with ipset, and all of SCTP, of which the sets know nothing', () => {
    expect(gate('IPv4', { host: some('192.0.2.1'), settings: { ipset: true } })).toEqual(
      rules(
        '-p tcp -m set --match-set WEIR-4-NP-TCP dst -d 192.0.2.1',
        '-p udp -m set --match-set WEIR-4-NP-UDP dst -d 192.0.2.1',
        '-p sctp -d 192.0.2.1',
      ),
    )
  })

  it('is the last thing in its chain', () => {
    for (const ipset of [false, true]) {
      const { head, tail } = chainOf(laidOut('IPv4', { settings: { ipset } }).nat, 'KUBE-SERVICES')
      expect(tail.length).toBe(ipset ? 3 : 1)
      expect(head.some((rule) => rule.includes('KUBE-NODEPORTS'))).toBe(false)
    }
  })
})
