import { describe, expect, it, test } from 'vitest'
import { schedulers } from '../model/scheduling.ts'
import { readScenario } from './read-scenario.ts'
import { movedInAll, rejected, type SchedulerResult } from './result.ts'
import { Simulation } from './simulation.ts'
import { crowdsOf } from './traffic.ts'

/** The results by scheduler's name. */
const run = (text: string): ReadonlyMap<string, SchedulerResult> => {
  const scenario = readScenario(text, 'test.yaml')
  const crowds = crowdsOf(scenario)
  return new Map(scenario.schedulers.map((plan) => [plan.name, new Simulation(scenario, plan, crowds).run()]))
}

/** Of a scenario with one scheduler. */
const only = (text: string): SchedulerResult => {
  const [result] = run(text).values()
  if (result === undefined) throw new Error('no result')
  return result
}

const connectionsOf = ({ servers }: SchedulerResult): readonly number[] => servers.map(({ connections }) => connections)

/** Tolerances are about three standard deviations of the run; the seeds are fixed. */
const within = (value: number, expected: number, share: number): void => {
  expect(Math.abs(value / expected - 1), `${value} is not within ${share} of ${expected}`).toBeLessThan(share)
}

const queue = (server: string, rate: number, connections = 400_000): string => `
connections: ${connections}
seed: 3
arrivals: { pattern: poisson, rate: ${rate} }
servers: [${server}]
schedulers: [rr]
`

describe('one server, by queueing theory', () => {
  const lambda = 80
  const mu = 100
  const rho = lambda / mu
  const exponential = 'serviceTime: { distribution: exponential, mean: 10ms }'

  test('M/M/1: waiting time, its quantiles, response time, load', () => {
    const { queueing, response, servers, duration } = only(queue(`{ name: a, capacity: 1, ${exponential} }`, lambda))
    within(queueing.mean, rho / (mu - lambda), 0.05)
    // P(wait > t) = rho × e^-(mu - lambda)t
    within(queueing.p50, Math.log(rho / 0.5) / (mu - lambda), 0.05)
    within(queueing.p99, Math.log(rho / 0.01) / (mu - lambda), 0.05)
    within(response.mean, 1 / (mu - lambda), 0.05)
    const [server] = servers
    within(server?.meanLoad ?? 0, rho / (1 - rho), 0.05)
    within(server?.utilisation ?? 0, rho, 0.01)
    // P(load > n) = rho^(n + 1)
    within(server?.p99Load ?? 0, Math.log(0.01) / Math.log(rho) - 1, 0.1)
    // Little's law, which holds for any one run but for its end.
    within(server?.meanLoad ?? 0, (response.mean * 400_000) / duration, 0.001)
  })

  test('M/D/1 waits half as long', () => {
    const { queueing } = only(queue('{ name: a, capacity: 1, serviceTime: 10ms }', lambda))
    within(queueing.mean, rho / (2 * (mu - lambda)), 0.03)
  })

  test.each([
    ['{ distribution: uniform, from: 0s, to: 20ms }', 4 / 3],
    ['{ distribution: lognormal, mean: 10ms, sigma: 0.8 }', Math.exp(0.64)],
    ['{ distribution: pareto, mean: 10ms, alpha: 5 }', 16 / 15],
  ])('M/G/1 with %s waits as Pollaczek and Khinchine say', (serviceTime, secondMoment) => {
    const { queueing, response } = only(queue(`{ name: a, capacity: 1, serviceTime: ${serviceTime} }`, 50))
    within(response.mean - queueing.mean, 0.01, 0.01)
    within(queueing.mean, (50 * secondMoment * 1e-4) / (2 * (1 - 0.5)), 0.05)
  })

  test('M/M/4 waits as Erlang says', () => {
    const servers = 4
    const offered = 320 / mu
    let blocking = 1
    for (let n = 1; n <= servers; n++) blocking = (offered * blocking) / (n + offered * blocking)
    const waits = blocking / (1 - (offered / servers) * (1 - blocking))
    const { queueing } = only(queue(`{ name: a, capacity: 4, ${exponential} }`, 320))
    within(queueing.mean, waits / (servers * mu - 320), 0.05)
  })

  test('M/M/1/5 refuses what finds five there', () => {
    const { connections } = only(queue(`{ name: a, capacity: 1, queue: 4, ${exponential} }`, lambda))
    within(connections.refused / connections.total, ((1 - rho) * rho ** 5) / (1 - rho ** 6), 0.03)
    expect(connections.served + connections.refused).toBe(connections.total)
  })

  test('without a capacity nobody waits, and the load is rate × time', () => {
    const { queueing, servers } = only(queue(`{ name: a, ${exponential} }`, 1000))
    expect(queueing.max).toBe(0)
    within(servers[0]?.meanLoad ?? 0, 10, 0.01)
    expect(servers[0]?.utilisation).toBeUndefined()
  })

  test('D/D/1 below its capacity never waits, and above it waits as long as it is late', () => {
    const steady = (rate: number) =>
      only(`
connections: 1000
arrivals: { pattern: constant, rate: ${rate} }
servers: [{ name: a, capacity: 1, serviceTime: 10ms }]
schedulers: [rr]`)
    expect(steady(100).queueing.max).toBeLessThan(1e-9)
    const late = steady(200).queueing
    expect(late.max).toBeCloseTo(999 * 0.005, 6)
    expect(late.mean).toBeCloseTo(999 * 0.0025, 6)
  })
})

const farm = (more: string, serviceTime = '{ distribution: exponential, mean: 10ms }'): string => `
connections: 60000
arrivals: { pattern: poisson, rate: 2000 }
clients: { number: 1000 }
servers:
  - { name: a, weight: 1, serviceTime: ${serviceTime} }
  - { name: b, weight: 2, serviceTime: ${serviceTime} }
  - { name: c, weight: 3, serviceTime: ${serviceTime} }
${more}
`

describe('shares', () => {
  const results = run(farm(`schedulers: [${schedulers.join(', ')}]`))
  const share = (name: string): readonly number[] => {
    const result = results.get(name)
    if (result === undefined) throw new Error(name)
    return connectionsOf(result)
  }

  it('are even to the last connection with rr, by weight with wrr', () => {
    expect(share('rr')).toEqual([20_000, 20_000, 20_000])
    expect(share('wrr')).toEqual([10_000, 20_000, 30_000])
    expect(results.get('wrr')?.imbalance.connections).toEqual({ maxOverMean: 1, cv: 0 })
    within(results.get('rr')?.imbalance.connections.maxOverMean ?? 0, 2 / ((2 + 1 + 2 / 3) / 3), 1e-9)
  })

  it('are by weight in the mean with random and twos', () => {
    for (const name of ['random', 'twos']) {
      const [a = 0, b = 0, c = 0] = share(name)
      within(a, 10_000, 0.1)
      within(b, 20_000, 0.1)
      within(c, 30_000, 0.1)
    }
  })

  it('are all of it for one server with fo and, with one destination, dh', () => {
    expect(share('fo')).toEqual([0, 0, 60_000])
    expect([...share('dh')].sort()).toEqual([0, 0, 60_000])
  })

  it('add up to every connection', () => {
    for (const { connections, servers } of results.values()) {
      expect(servers.reduce((sum, server) => sum + server.connections, connections.unscheduled)).toBe(60_000)
      expect(connections.served + rejected(connections)).toBe(60_000)
    }
  })
})

describe('clients', () => {
  const events = `
events:
  - { at: 10s, server: web-3, action: leave }
`
  const scenario = (names: string): string => `
connections: 100000
arrivals: { pattern: constant, rate: 5000 }
clients: { number: 2000, addresses: 198.18.0.0/15 }
servers: [{ name: web, count: 10, serviceTime: 5ms }]
schedulers: [${names}]
`

  it('stay with their server under sh and mh, and go everywhere under rr', () => {
    const results = run(scenario('sh, mh, rr'))
    for (const name of ['sh', 'mh']) {
      const { repeats, kept } = results.get(name)?.affinity ?? { repeats: 0, kept: 0 }
      expect(repeats).toBeGreaterThan(90_000)
      expect(kept).toBe(repeats)
    }
    const { repeats, kept } = results.get('rr')?.affinity ?? { repeats: 0, kept: 0 }
    within(kept / repeats, 0.1, 0.1)
  })

  it('move far less under mh than under rr or sh when a server leaves', () => {
    const results = run(scenario('mh, rr, sh') + events)
    const moved = (name: string): number => {
      const result = results.get(name)
      if (result === undefined) throw new Error(name)
      const counts = movedInAll(result)
      // Those of the server that left are not counted.
      within(counts.returning, 1800, 0.05)
      return counts.moved / counts.returning
    }
    expect(moved('mh')).toBeLessThan(0.05)
    expect(moved('mh')).toBeGreaterThan(0)
    expect(moved('sh')).toBeGreaterThan(0.5)
    within(moved('rr'), 8 / 9, 0.05)
  })
})

describe('events', () => {
  const death = (noticedAfter: string, names = 'rr'): ReadonlyMap<string, SchedulerResult> =>
    run(
      farm(`
events:
  - { at: 10s, server: c, action: die, noticedAfter: ${noticedAfter} }
  - { at: 20s, server: c, action: join }
schedulers: [${names}]`),
    )

  it('cut what a dying server has, and nothing comes to it once that is noticed', () => {
    const [result] = death('0').values()
    expect(result?.connections.failed).toBe(0)
    expect(result?.connections.cut).toBeGreaterThan(0)
    expect(result?.connections.cut).toBeLessThan(20)
    expect(result?.changes.map(({ event, at }) => [event, at])).toEqual([
      ['c dies', 10],
      ['c joins', 20],
    ])
    // 20 of 30 seconds a third, 10 seconds nothing.
    within(result?.servers[2]?.connections ?? 0, 40_000 / 3, 0.02)
    within(result?.servers[2]?.fair ?? 0, 20_000, 0.02)
  })

  it('let a dead server fail what comes until it is noticed, which is nearly all that sed sees', () => {
    const results = death('5s', 'rr, sed')
    within(results.get('rr')?.connections.failed ?? 0, 10_000 / 3, 0.05)
    within(results.get('sed')?.connections.failed ?? 0, 10_000, 0.05)
    expect(results.get('rr')?.changes[0]?.at).toBe(15)
  })

  it('forget the removal of a server that is back before it', () => {
    const [result] = death('15s').values()
    expect(result?.changes).toEqual([])
    within(result?.connections.failed ?? 0, 20_000 / 3, 0.05)
    within(result?.servers[2]?.connections ?? 0, 20_000, 0.001)
  })

  it('leave connections alone when a server leaves or drains', () => {
    for (const action of ['leave', 'drain']) {
      const result = only(farm(`events: [{ at: 15s, server: c, action: ${action} }]\nschedulers: [wrr]`, '2s'))
      expect(rejected(result.connections)).toBe(0)
      within(result.servers[2]?.connections ?? 0, 15_000, 0.02)
      expect(result.servers[2]?.served).toBe(result.servers[2]?.connections)
    }
  })

  it('change weights, slow servers down, and bring absent ones', () => {
    const weighed = only(
      farm('events: [{ atConnection: 30001, server: a, action: weight, weight: 5 }]\nschedulers: [wrr]'),
    )
    expect(connectionsOf(weighed)).toEqual([5_000 + 15_000, 10_000 + 6_000, 15_000 + 9_000])
    expect(weighed.imbalance.connections.maxOverMean).toBeCloseTo(1, 3)
    const slow = only(farm('events: [{ at: 0s, server: b, action: slow, factor: 10 }]\nschedulers: [rr]'))
    within(slow.response.mean, (0.01 + 0.1 + 0.01) / 3, 0.02)
    const late = only(`
connections: 1000
arrivals: { pattern: constant, rate: 100 }
servers:
  - { name: a, serviceTime: 1ms }
  - { name: b, serviceTime: 1ms, absent: true }
events: [{ atConnection: 501, server: b, action: join }]
schedulers: [rr]`)
    expect(connectionsOf(late)).toEqual([750, 250])
    expect(late.imbalance.connections.maxOverMean).toBe(1)
  })

  it('happen at their connection, and are counted as reached only then', () => {
    const result = only(`
connections: 10
arrivals: { pattern: constant, rate: 1 }
servers: [{ name: a, serviceTime: 0 }, { name: b, serviceTime: 0 }]
events:
  - { atConnection: 4, server: b, action: leave }
  - { at: 6s, server: b, action: join }
  - { atConnection: 11, server: b, action: leave }
schedulers: [rr]`)
    // b, the last one added, comes first: b a b, then a a a, then b and a in turn.
    expect(connectionsOf(result)).toEqual([1 + 3 + 2, 2 + 2])
    expect(result.changes.map(({ at }) => at)).toEqual([3, 6])
    expect(result.eventsReached).toBe(2)
  })

  it('are refused when times and connection numbers turn out to be out of order', () => {
    const mixed = (first: string, second: string) => () =>
      only(
        farm(
          `events:\n  - { ${first}, server: a, action: drain }\n  - { ${second}, server: b, action: drain }\nschedulers: [rr]`,
        ),
      )
    expect(mixed('atConnection: 40000', 'at: 10s')).toThrow(
      /^test.yaml:11: events\[1\]: is over when the event before it/,
    )
    expect(mixed('at: 20s', 'atConnection: 3')).toThrow(/^test.yaml:11: events\[1\]/)
    expect(mixed('at: 10s', 'atConnection: 40000')).not.toThrow()
  })
})

describe('what LVS counts', () => {
  it('keeps an ended connection as inactive, which thresholds see', () => {
    const limited = (linger: string): SchedulerResult =>
      only(`
connections: 1000
linger: ${linger}
arrivals: { pattern: constant, rate: 100 }
servers: [{ name: a, serviceTime: 1ms, upperThreshold: 50 }]
schedulers: [rr]`)
    expect(limited('0').connections.unscheduled).toBe(0)
    // Overloaded at 50; again usable below 38, which is never within 10 s when each is remembered for 120 s.
    expect(limited('120s').connections.unscheduled).toBe(950)
    // 50 come in half a second; after one more second the oldest go; below 38 after 13 of them.
    expect(limited('1s').connections.served).toBeGreaterThan(300)
    expect(limited('1s').connections.unscheduled).toBeGreaterThan(300)
  })

  it('never counts UDP as active, so sed sends all of it to the first of the heaviest', () => {
    const udp = (protocol: string): readonly number[] =>
      connectionsOf(only(`protocol: ${protocol}\n${farm('schedulers: [sed]', '100ms')}`))
    expect(udp('UDP')).toEqual([0, 0, 60_000])
    expect(udp('TCP')[0]).toBeGreaterThan(5_000)
  })
})

describe('determinism', () => {
  const text = farm('schedulers: [random, wlc, mh]\nseed: 5')

  it('gives the same for the same seed, whoever runs beside', () => {
    const again = run(text)
    expect(run(text)).toEqual(again)
    expect(only(text.replace('[random, wlc, mh]', '[mh]'))).toEqual(again.get('mh'))
  })

  it('gives something else for another seed, and the same arrivals to every scheduler', () => {
    const results = run(text)
    expect(run(text.replace('seed: 5', 'seed: 6'))).not.toEqual(results)
    expect(new Set([...results.values()].map(({ duration }) => duration)).size).toBe(1)
  })
})
