import { describe, expect, it } from 'vitest'
import { cidr, ip } from '../../../../test/property/track-objects.ts'
import { hostOf } from '../../../../test/support/iptables-layouts.ts'
import type { ServicePortId } from '../../../model/names.ts'
import { changeScript, probeScript, tableScript } from './script.ts'
import { type WrittenElement, WrittenTable, written } from './written.ts'

const id = (text: string): ServicePortId => text as ServicePortId
const service = (key: string, value = '192.0.2.10 . 40000'): WrittenElement => ({ set: 'services', key, value })
const shared: WrittenElement = { set: 'own-endpoints', key: '192.0.2.10 . tcp . 80', value: undefined }

describe('written', () => {
  const listener = (set: 'services' | 'outside-nodeports') =>
    ({ set, key: 'k', value: { kind: 'listener', id: 'a' } }) as const

  it('leads to the socket of a listener', () => {
    expect(written(listener('services'), () => '192.0.2.10 . 4')).toEqual({
      set: 'services',
      key: 'k',
      value: '192.0.2.10 . 4',
    })
  })
  it('refuses what leads to a listener without a socket', () => {
    expect(written(listener('services'), () => undefined)).toMatchObject({
      set: 'refused-services',
      value: 'goto refuse',
    })
    expect(written(listener('outside-nodeports'), () => undefined).set).toBe('outside-refused-nodeports')
  })
})

describe('WrittenTable', () => {
  it('knows what has to come and go', () => {
    const table = new WrittenTable()
    table.accept(new Map([[id('a'), [service('1'), service('2')]]]))
    expect(table.change(new Map([[id('a'), [service('2'), service('3')]]]))).toEqual({
      removed: [service('1')],
      added: [service('3')],
    })
    expect(table.change(new Map([[id('a'), [service('1', 'other'), service('2')]]]))).toEqual({
      removed: [service('1')],
      added: [service('1', 'other')],
    })
    expect(table.change(new Map([[id('a'), []]])).removed).toHaveLength(2)
  })

  it('hands an element from one service port to another without a gap', () => {
    const table = new WrittenTable()
    table.accept(new Map([[id('a'), [service('1')]]]))
    const swap = new Map([
      [id('a'), []],
      [id('b'), [service('1', 'other')]],
    ])
    expect(table.change(swap)).toEqual({ removed: [service('1')], added: [service('1', 'other')] })
    table.accept(swap)
    expect([...table.elements()]).toEqual([service('1', 'other')])
    expect(table.change(new Map([[id('a'), []]]))).toEqual({ removed: [], added: [] })
  })

  it('keeps what several ask for until the last one goes', () => {
    const table = new WrittenTable()
    const both = new Map([
      [id('a'), [shared]],
      [id('b'), [shared]],
    ])
    expect(table.change(both).added).toEqual([shared])
    table.accept(both)
    expect(table.counts()).toEqual(new Map([['own-endpoints', 1]]))
    table.accept(new Map([[id('a'), []]]))
    expect(table.change(new Map([[id('b'), []]])).removed).toEqual([shared])
    table.accept(new Map([[id('b'), []]]))
    expect(table.counts()).toEqual(new Map([['own-endpoints', 0]]))
  })
})

describe('scripts', () => {
  it('change only elements, removals first', () => {
    const change = { removed: [service('1'), shared], added: [service('1', 'other'), service('2')] }
    expect(changeScript('IPv4', change)).toBe(
      [
        'delete element ip weir-userspace services { 1 }',
        'delete element ip weir-userspace own-endpoints { 192.0.2.10 . tcp . 80 }',
        'add element ip weir-userspace services { 1 : other, 2 : 192.0.2.10 . 40000 }',
        '',
      ].join('\n'),
    )
    expect(changeScript('IPv6', { removed: [], added: [] })).toBe('')
  })

  it('replace the table, in the words of each family', () => {
    const four = tableScript(hostOf('IPv4'), [service('10.0.0.1 . tcp . 80')])
    expect(four).toMatch(/^table ip weir-userspace\ndelete table ip weir-userspace\ntable ip weir-userspace \{\n/)
    expect(four).toContain('elements = { 10.0.0.1 . tcp . 80 : 192.0.2.10 . 40000 }')
    expect(four).toContain('type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service')
    const six = tableScript(hostOf('IPv6'), [])
    expect(six).not.toMatch(/\bip [ds]addr|ipv4_addr/)
    expect(six).toContain('fib daddr type local ip6 daddr != ::1')
  })

  it.each([
    [{ kind: 'none' }, '\t\tjump from-outside'],
    [{ kind: 'cidr', cidr: cidr('10.244.0.0/16') }, '\t\tip saddr != 10.244.0.0/16 jump from-outside'],
    [{ kind: 'cidr', cidr: cidr('10.244.0.1/32') }, '\t\tip saddr != 10.244.0.1 jump from-outside'],
    [{ kind: 'interface', name: 'cni0' }, '\t\tiifname != "cni0" jump from-outside'],
    [{ kind: 'interfacePrefix', prefix: 'cali' }, '\t\tiifname != "cali*" jump from-outside'],
  ] as const)('tell pods from others: %j', (detector, line) => {
    expect(tableScript(hostOf('IPv4', { detector }), [])).toContain(`${line}\n`)
  })

  it('take NodePorts on the addresses that are selected', () => {
    const nodePortAddresses = { kind: 'some', addresses: [ip('192.0.2.10')] } as const
    expect(tableScript(hostOf('IPv4', { nodePortAddresses }), [])).toContain('ip daddr @nodeport-ips dnat ip to')
  })

  it('probe with a table that is gone again', () => {
    const script = probeScript(hostOf('IPv4'))
    expect(script).not.toMatch(/weir-userspace[ \n]/)
    expect(script.trimEnd().split('\n').at(-1)).toBe('delete table ip weir-userspace-probe')
  })
})
