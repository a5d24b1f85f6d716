import { describe, expect, it } from 'vitest'
import { ruleText } from '../../../kernel/iptables/rule-text.ts'
import { isTreeChain } from './chain-names.ts'
import { DispatchTree, type TreeShape } from './tree.ts'

const services = { root: 'KUBE-SERVICES', family: 'IPv4', kind: 'address' } as const satisfies TreeShape
const services6 = { root: 'KUBE-SERVICES', family: 'IPv6', kind: 'address' } as const satisfies TreeShape
const nodePorts = { root: 'KUBE-NODEPORTS', family: 'IPv4', kind: 'port' } as const satisfies TreeShape

describe('what is written', () => {
  const listing = (of: TreeShape, keys: readonly string[], leafSize: number): Record<string, readonly string[]> => {
    const tree = DispatchTree.empty(of, leafSize).with(
      keys.map((key) => ({ key, rules: [ruleText('-j', key)] })),
      [],
    )
    return Object.fromEntries(
      [{ name: of.root, rules: tree.rootRules() }, ...tree.chains()].map(({ name, rules }) => [name, rules]),
    )
  }

  it('few entries are rules of the root', () => {
    expect(listing(services, ['0a60000200050', '0a60000100050'], 2)).toEqual({
      'KUBE-SERVICES': ['-j 0a60000100050', '-j 0a60000200050'],
    })
  })

  it('addresses by prefix, a single one inline', () => {
    expect(listing(services, ['0a60040100050', '0a60042100050', '0a60042200050', 'c000020100050'], 2)).toEqual({
      'KUBE-SERVICES': ['-d 0.0.0.0/4 -j WEIR-0.0.0.0-4', '-j c000020100050'],
      'WEIR-0.0.0.0-4': ['-j 0a60040100050', '-d 10.96.4.32/28 -j WEIR-10.96.4.32-28'],
      'WEIR-10.96.4.32-28': ['-j 0a60042100050', '-j 0a60042200050'],
    })
  })

  it('protocols and ports of one address', () => {
    const address = '0a600401'
    const keys = ['00050', '00051', '07530', '11000', '11001'].map((tail) => address + tail)
    expect(listing(services, keys, 2)).toEqual({
      'KUBE-SERVICES': ['-d 10.96.4.1/32 -p tcp -j WEIR-10.96.4.1-tcp', '-d 10.96.4.1/32 -p udp -j WEIR-10.96.4.1-udp'],
      'WEIR-10.96.4.1-tcp': [
        '-d 10.96.4.1/32 -p tcp -m tcp --dport 0:4095 -j WEIR-10.96.4.1-tcp-0-4',
        '-j 0a60040107530',
      ],
      'WEIR-10.96.4.1-tcp-0-4': ['-j 0a60040100050', '-j 0a60040100051'],
      'WEIR-10.96.4.1-udp': ['-j 0a60040111000', '-j 0a60040111001'],
    })
  })

  it('NodePorts without an address', () => {
    expect(listing(nodePorts, ['07530', '07531', '07630', '17530'], 2)).toEqual({
      'KUBE-NODEPORTS': ['-p tcp -j WEIR-NP-tcp', '-j 17530'],
      'WEIR-NP-tcp': ['-p tcp -m tcp --dport 29952:30207 -j WEIR-NP-tcp-29952-8', '-j 07630'],
      'WEIR-NP-tcp-29952-8': ['-j 07530', '-j 07531'],
    })
  })

  it('IPv6 by prefix, with a hash where the name would be too long', () => {
    const [near, far] = ['fd000010009600000000000000001201', 'fd001234567890abcdef000000001201']
    const listed = listing(services6, [`${near}00050`, `${near}00051`, `${far}00050`, `${far}00051`], 1)
    expect(listed['KUBE-SERVICES']).toEqual([
      '-d fd00::/20 -j WEIR-fd00..-20',
      '-d fd00:1000::/20 -j WEIR-fd00.1000..-20',
    ])
    expect(listed['WEIR-fd00..-20']).toEqual([
      '-j fd00001000960000000000000000120100050',
      '-j fd00001000960000000000000000120100051',
    ])
    const deep = listing(services6, [`${far}00050`, `${far}00051`, `${far}00060`, `${far}00061`], 2)
    const hashed = deep['KUBE-SERVICES']?.map((rule) => rule.split(' ').at(-1) ?? '') ?? []
    expect(hashed).toHaveLength(2)
    for (const name of hashed) expect(name).toMatch(/^WEIR-X-[A-Z2-7]{16}$/)
  })
})

describe('isTreeChain', () => {
  it.each([
    'KUBE-SERVICES',
    'KUBE-SVC-XPGD46QRK7WJZT7O',
    'WEIR-SERVICES',
    'WEIR-NODEPORTS',
    'WEIR-',
    'WEIR-X-',
    'WEIR-X-xpgd46qrk7wjzt7o',
    'WEIR-NP',
    'WEIR-10.96.4.0',
    'weir-10.96.4.0-24',
    'AWEIR-10.96.4.0-24',
    'WEIR-10.96.4.0-24 ',
    'WEIR-10.96.4.0-24-and-more-of-it',
  ])('does not take %s', (name) => {
    expect(isTreeChain(name)).toBe(false)
  })
})
