import { describe, expect, it } from 'vitest'
import { defaultConnections } from '../../model/connections.ts'
import { readConnections } from './connections.ts'
import { Place } from './place.ts'

const read = (annotations: Record<string, unknown>) => {
  const root = new Place({ kind: 'Service', namespace: 'default', name: 'web' })
  const value = readConnections(root, annotations)
  return { ...value, faults: root.problems.map(({ field, reason }) => `${field}: ${reason}`) }
}

const plain = { ...defaultConnections, faults: [] }

describe('annotations about connections', () => {
  it('share one default', () => {
    const root = new Place({ kind: 'Service', namespace: 'default', name: 'web' })
    expect(readConnections(root, undefined)).toBe(defaultConnections)
    expect(readConnections(root, { 'weir.dev/scheduler': 'rr' } as never)).toBe(defaultConnections)
  })

  it('ask for PROXY protocol', () => {
    expect(read({ 'weir.dev/proxy-protocol': 'v2' })).toEqual({ ...plain, proxyProtocol: true })
    expect(read({ 'weir.dev/proxy-protocol': ' v2 ' })).toEqual({ ...plain, proxyProtocol: true })
    for (const value of ['v1', '2', 'V2', '', 'true', 2, true, {}])
      expect(read({ 'weir.dev/proxy-protocol': value })).toMatchObject({
        proxyProtocol: false,
        faults: [expect.stringMatching(/^metadata\.annotations\[weir\.dev\/proxy-protocol\]: .* is not "v2"/)],
      })
  })

  it.each(['masquerade', 'direct', 'tunnel'] as const)('choose how packets are forwarded: %s', (forwarding) => {
    expect(read({ 'weir.dev/forwarding': forwarding })).toEqual({ ...plain, forwarding })
    expect(read({ 'weir.dev/forwarding': ` ${forwarding} ` })).toEqual({ ...plain, forwarding })
  })

  it.each(['Direct', 'dr', 'gatewaying', '-g', '', 1, {}])('know no other way to forward: %j', (value) => {
    expect(read({ 'weir.dev/forwarding': value })).toMatchObject({
      forwarding: 'masquerade',
      faults: [
        expect.stringMatching(
          /^metadata\.annotations\[weir\.dev\/forwarding\]: .* is not one of masquerade, direct, tunnel, so masquerade is used$/,
        ),
      ],
    })
  })

  it('ask for a reset of stale TCP connections', () => {
    const name = 'weir.dev/reset-stale-tcp'
    expect(read({ [name]: 'true' })).toEqual({ ...plain, resetStaleTcp: true })
    expect(read({ [name]: 'false' })).toEqual(plain)
    for (const value of ['True', 'yes', '1', '', true])
      expect(read({ [name]: value })).toMatchObject({
        resetStaleTcp: false,
        faults: [
          expect.stringMatching(/^metadata\.annotations\[weir\.dev\/reset-stale-tcp\]: .* is not "true" or "false"/),
        ],
      })
  })

  it.each([
    ['1', 1],
    ['0500', 500],
    [' 2147483647 ', 2_147_483_647],
  ])('limit connections: %j', (value, maxConnections) => {
    expect(read({ 'weir.dev/max-connections': value })).toEqual({ ...plain, maxConnections })
  })

  it.each(['0', '-1', '1.5', '1e3', '2147483648', '', 'many', 5, null, [1]])(
    'a limit is a whole number: %j',
    (value) => {
      const { maxConnections, faults } = read({ 'weir.dev/max-connections': value })
      expect(maxConnections).toBeUndefined()
      expect(faults).toHaveLength(value === null ? 0 : 1)
    },
  )
})
