import { describe, expect, test } from 'vitest'
import { ProxyHealth } from '../../../src/observe/health/proxy-health.ts'
import { applied, failed } from './support/events.ts'
import { FakeClock } from './support/fake-clock.ts'

const setUp = (): { clock: FakeClock; health: ProxyHealth } => {
  const clock = new FakeClock('2024-03-01T12:00:00Z')
  return { clock, health: new ProxyHealth(clock, 30_000) }
}

describe('a family', () => {
  test('is healthy however long nothing happens', () => {
    const { clock, health } = setUp()
    health.loopStarted({ family: 'IPv4', at: clock.now() })
    clock.advance(86_400_000)
    expect(health.isHealthy()).toBe(true)
  })

  test('turns unhealthy when a change has waited for exactly two sync periods', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.advance(59_999)
    expect(health.isHealthy()).toBe(true)
    clock.advance(1)
    expect(health.isHealthy()).toBe(false)
  })

  test('counts from the oldest of several changes', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.advance(40_000)
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.advance(20_000)
    expect(health.isHealthy()).toBe(false)
  })

  test('recovers with the sync that carries the change', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.advance(70_000)
    health.started({ family: 'IPv4', kind: 'full', at: clock.now() })
    expect(health.isHealthy()).toBe(false)
    health.applied(applied({ at: clock.now() }))
    expect(health.isHealthy()).toBe(true)
  })

  test('keeps the age of a change through failed syncs', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    for (let i = 0; i < 3; i++) {
      health.started({ family: 'IPv4', kind: 'partial', at: clock.now() })
      clock.advance(15_000)
      health.failed(failed({ at: clock.now() }))
    }
    expect(health.isHealthy()).toBe(true)
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.advance(15_000)
    expect(health.isHealthy()).toBe(false)
  })

  test('does not forget a change that arrived during a sync', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    health.started({ family: 'IPv4', kind: 'partial', at: clock.now() })
    clock.advance(10_000)
    health.queued({ family: 'IPv4', at: clock.now() })
    health.applied(applied({ at: clock.now() }))
    clock.advance(59_999)
    expect(health.isHealthy()).toBe(true)
    clock.advance(1)
    expect(health.isHealthy()).toBe(false)
  })

  test('has nothing waiting after a success that nobody announced', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    health.applied(applied({ at: clock.now() }))
    clock.advance(60_000)
    expect(health.isHealthy()).toBe(true)
  })

  test('is not late because somebody set the date', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    clock.jump(3_600_000)
    expect(health.isHealthy()).toBe(true)
  })

  test('is late whatever the other family does', () => {
    const { clock, health } = setUp()
    health.loopStarted({ family: 'IPv4', at: clock.now() })
    health.loopStarted({ family: 'IPv6', at: clock.now() })
    health.queued({ family: 'IPv6', at: clock.now() })
    clock.advance(60_000)
    health.applied(applied({ family: 'IPv4', at: clock.now() }))
    expect(health.isHealthy()).toBe(false)
    expect(health.report().families).toEqual(
      new Map([
        ['IPv4', { lastUpdated: clock.now(), healthy: true }],
        ['IPv6', { lastUpdated: clock.now() - 60_000, healthy: false }],
      ]),
    )
  })

  test('is reported from the start of its loop, not before', () => {
    const { clock, health } = setUp()
    health.queued({ family: 'IPv4', at: clock.now() })
    expect(health.report().families.size).toBe(0)
    health.loopStarted({ family: 'IPv4', at: clock.now() })
    expect([...health.report().families.keys()]).toEqual(['IPv4'])
  })
})

test.each([
  { seen: false, eligible: true, expected: false },
  { seen: true, eligible: false, expected: false },
  { seen: true, eligible: true, expected: true },
])('a node that is $seen seen and $eligible eligible', ({ seen, eligible, expected }) => {
  const { health } = setUp()
  expect(health.report().nodeEligible).toBe(false)
  health.nodeEligible({ seen, eligible })
  expect(health.report().nodeEligible).toBe(expected)
})
