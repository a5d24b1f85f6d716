import { describe, expect, it } from 'vitest'
import { port } from '../../../../test/property/track-objects.ts'
import { stateOf } from '../../../../test/support/iptables-layouts.ts'
import type { ServiceState } from '../../../model/desired.ts'
import { LoopbackPorts, nodePortSlots } from './loopback-ports.ts'

const states = (count: number, protocol: 'TCP' | 'UDP' = 'TCP'): readonly ServiceState[] =>
  Array.from({ length: count }, (_, i) => stateOf('IPv4', `ns/web-${i}:p`, { protocol }))
const none: ReadonlySet<string> = new Set()

const taking = (
  ports: LoopbackPorts,
  users: readonly ServiceState[],
  taken = none,
): readonly (number | undefined)[] => {
  const planned = ports.plan(users, taken)
  for (const user of users) {
    const number = planned.get(user.id)
    if (number !== undefined) ports.take(user, number)
  }
  return users.map(({ id }) => planned.get(id))
}

describe('LoopbackPorts', () => {
  it('follow from the name, so they are the same after a restart', () => {
    const range = { first: 20_000, last: 29_999 }
    const first = taking(new LoopbackPorts(range), states(50))
    expect(taking(new LoopbackPorts(range), states(50))).toEqual(first)
    expect(first.every((number) => number !== undefined && number >= 20_000 && number <= 29_999)).toBe(true)
    expect(taking(new LoopbackPorts(range), [stateOf('IPv4', 'default/web:http')])).toEqual([20_491])
  })

  it('are all different until the range is full, per protocol', () => {
    const ports = new LoopbackPorts({ first: 3000, last: 3009 })
    const found = taking(ports, states(11))
    expect(new Set(found.slice(0, 10)).size).toBe(10)
    expect(found[10]).toBeUndefined()
    expect(taking(ports, states(10, 'UDP')).every((number) => number !== undefined)).toBe(true)
  })

  it('stay where they are when others come, and are free again when released', () => {
    const ports = new LoopbackPorts({ first: 3000, last: 3004 })
    const [one, ...rest] = states(6)
    if (one === undefined) throw new Error('no state')
    const before = taking(ports, rest)
    expect(taking(ports, rest)).toEqual(before)
    expect(taking(ports, [one])).toEqual([undefined])
    const [gone] = rest
    if (gone === undefined) throw new Error('no state')
    ports.release(gone)
    expect(taking(ports, [one])).toEqual([before[0]])
  })

  it('plans without taking', () => {
    const ports = new LoopbackPorts({ first: 3000, last: 3004 })
    expect(ports.plan(states(3), none)).toEqual(ports.plan(states(3), none))
    expect(ports.of(states(1)[0]?.id ?? ('' as never))).toBeUndefined()
  })

  it('leave NodePorts alone, of the same protocol', () => {
    const ports = new LoopbackPorts({ first: 3000, last: 3001 })
    const slots = nodePortSlots([stateOf('IPv4', 'ns/n:p', { nodePort: port(3000) })])
    expect(taking(ports, states(2), slots)).toEqual([3001, undefined])
    expect(new Set(taking(ports, states(2, 'UDP'), slots))).toEqual(new Set([3000, 3001]))
  })

  it('go on to the next free one where a port is taken by another program', () => {
    const ports = new LoopbackPorts({ first: 3000, last: 3002 })
    const [one, two] = states(2)
    if (one === undefined || two === undefined) throw new Error('no state')
    ports.take(one, 3002)
    ports.take(two, 3000)
    expect(ports.next(one, 3002, none)).toBe(3001)
    ports.take(one, 3001)
    expect(ports.next(one, 3001, none)).toBe(3002)
    expect(ports.next(one, 3001, new Set(['TCP 3002']))).toBeUndefined()
  })
})
