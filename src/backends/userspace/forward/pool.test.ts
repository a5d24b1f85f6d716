import { describe, expect, it } from 'vitest'
import { ip, target } from '../../../../test/support/forwarding.ts'
import { seededRandom } from '../../../algorithms/random-source.ts'
import type { Target } from '../../../model/desired.ts'
import { defaultScheduling, type Scheduler } from '../../../model/scheduling.ts'
import { Counters, createBlock } from './counters.ts'
import type { Endpoint } from './endpoint.ts'
import { type Choice, type Placed, Pool, type PoolSpec } from './pool.ts'

const client = ip('192.0.2.1')
const packetOf = (from = client) => ({ client: from, clientPort: 1000, destination: ip('203.0.113.1') })

/** A pool with a clock that stands until it is moved, and endpoints that are known by their port. */
class Bench {
  time = 0
  readonly told: string[] = []
  readonly pool: Pool
  readonly #block = createBlock(1)
  readonly #slots = new Map<number, Counters>()
  readonly #spec: Omit<PoolSpec, 'targets'>

  constructor(targets: readonly Target[], scheduler: Scheduler = 'rr', affinitySeconds?: number, maxAffinity = 100) {
    this.#spec = { scheduling: { ...defaultScheduling, scheduler }, affinitySeconds }
    this.pool = new Pool(
      { ...this.#spec, targets: this.placed(targets) },
      {
        now: () => this.time,
        random: seededRandom(1),
        ejectAfter: 3,
        ejectMs: 10_000,
        maxEjectMs: 60_000,
        probeMs: 3000,
        maxAffinity,
        onEjected: ({ port }, forMs) => this.told.push(`${port} out ${forMs}`),
        onRecovered: ({ port }) => this.told.push(`${port} back`),
      },
    )
  }

  placed(targets: readonly Target[]): readonly Placed[] {
    return targets.map((one) => {
      const counters = this.#slots.get(one.port) ?? new Counters(this.#block, { block: 0, index: this.#slots.size }, 0)
      this.#slots.set(one.port, counters)
      return { target: one, counters }
    })
  }

  update(targets: readonly Target[], over: Partial<PoolSpec> = {}): void {
    this.pool.update({ ...this.#spec, targets: this.placed(targets), ...over })
  }

  counters(port: number): Counters {
    const counters = this.#slots.get(port)
    if (counters === undefined) throw new Error(`no endpoint ${port}`)
    return counters
  }

  choose(tried: readonly Endpoint[] = [], from = client): Choice {
    const choice = this.pool.pick(packetOf(from), tried)
    if (choice === undefined) throw new Error('nobody')
    return choice
  }

  /** The ports of so many picks in a row. */
  ports(count: number, from = client): readonly number[] {
    return Array.from({ length: count }, () => this.choose([], from).endpoint.port)
  }

  /** Opens a connection where the scheduler says. */
  open(): number {
    const { endpoint } = this.choose()
    endpoint.counters.addActive(1)
    return endpoint.port
  }

  /** Fails `port` until it is out. */
  eject(port: number): void {
    for (let i = 0; i < 100 && !this.told.some((line) => line.startsWith(`${port} out`)); i++) {
      const choice = this.choose()
      if (choice.endpoint.port === port) this.pool.failed(choice)
    }
  }
}

describe('scheduling', () => {
  it('goes round in the order of the targets', () => {
    expect(new Bench([target(1), target(2), target(3)]).ports(6)).toEqual([1, 2, 3, 1, 2, 3])
  })

  it('heeds weights', () => {
    const ports = new Bench([target(1, 3), target(2, 1)], 'wrr').ports(400)
    expect(ports.filter((port) => port === 1)).toHaveLength(300)
  })

  it('lc goes by the connections that are really open', () => {
    const bench = new Bench([target(1), target(2), target(3)], 'lc')
    expect([bench.open(), bench.open(), bench.open()].sort()).toEqual([1, 2, 3])
    bench.counters(2).addActive(-1)
    expect(bench.open()).toBe(2)
    bench.counters(1).addActive(5)
    bench.counters(2).addActive(5)
    expect(bench.ports(3)).toEqual([3, 3, 3])
  })

  it('wlc weighs them, and inactive ones hardly', () => {
    const bench = new Bench([target(1, 1), target(2, 4)], 'wlc')
    const ports = Array.from({ length: 10 }, () => bench.open())
    expect(ports.filter((port) => port === 2)).toHaveLength(8)
    bench.counters(1).addActive(-2)
    bench.counters(1).addInactive(2)
    expect(bench.open()).toBe(1)
  })

  it('changes scheduler and weights while it runs', () => {
    const bench = new Bench([target(1), target(2)])
    bench.ports(3)
    bench.update([target(1, 1), target(2, 3)], { scheduling: { ...defaultScheduling, scheduler: 'wrr' } })
    const ports = bench.ports(400)
    expect(ports.filter((port) => port === 2)).toHaveLength(300)
  })

  it('never gives what was tried for the same connection', () => {
    for (const scheduler of ['rr', 'lc', 'sh', 'mh', 'random', 'fo', 'lblc'] as const) {
      const bench = new Bench([target(1), target(2), target(3)], scheduler)
      const tried: Endpoint[] = []
      for (let i = 0; i < 3; i++) tried.push(bench.choose(tried).endpoint)
      expect(new Set(tried).size, scheduler).toBe(3)
      expect(bench.pool.pick(packetOf(), tried), scheduler).toBeUndefined()
    }
  })

  it('has nobody without targets', () => {
    const bench = new Bench([])
    expect(bench.pool.pick(packetOf(), [])).toBeUndefined()
  })

  it('asks for the client only where it matters', () => {
    expect(new Bench([target(1)], 'rr').pool.needsClient).toBe(false)
    expect(new Bench([target(1)], 'sh').pool.needsClient).toBe(true)
    expect(new Bench([target(1)], 'rr', 10).pool.needsClient).toBe(true)
  })
})

describe('affinity', () => {
  it('keeps a client where it is until its time is over, counted from its last connection', () => {
    const bench = new Bench([target(1), target(2), target(3)], 'rr', 10)
    expect(bench.ports(3)).toEqual([1, 1, 1])
    bench.time = 9_999
    expect(bench.ports(1)).toEqual([1])
    bench.time = 19_998
    expect(bench.ports(1)).toEqual([1])
    bench.time = 29_998
    expect(bench.ports(1)).toEqual([2])
  })

  it('keeps clients apart', () => {
    const bench = new Bench([target(1), target(2)], 'rr', 10)
    expect(bench.ports(2)).toEqual([1, 1])
    expect(bench.ports(2, ip('192.0.2.2'))).toEqual([2, 2])
    expect(bench.ports(1)).toEqual([1])
  })

  it('leaves an endpoint that is gone, ejected, or has just failed', () => {
    const bench = new Bench([target(1), target(2), target(3)], 'rr', 10)
    const first = bench.choose().endpoint
    expect(first.port).toBe(1)
    const second = bench.choose([first]).endpoint
    expect(second).not.toBe(first)
    expect(bench.ports(2)).toEqual([second.port, second.port])
    bench.eject(second.port)
    const [third] = bench.ports(1)
    expect(third).not.toBe(second.port)
    bench.update([target(1), target(2), target(3)].filter(({ port }) => port !== third))
    expect(bench.ports(1)).not.toEqual([third])
  })

  it('remembers a bounded number of clients, the newest', () => {
    const bench = new Bench([target(1), target(2), target(3), target(4)], 'rr', 10, 2)
    const [a, b, c] = [ip('192.0.2.11'), ip('192.0.2.12'), ip('192.0.2.13')]
    expect([bench.ports(1, a), bench.ports(1, b), bench.ports(1, a)]).toEqual([[1], [2], [1]])
    expect(bench.ports(1, c)).toEqual([3])
    expect(bench.ports(1, a)).toEqual([1])
    expect(bench.ports(1, b)).toEqual([4])
  })
})

describe('ejection', () => {
  const two = (): Bench => new Bench([target(1), target(2)])

  it('takes three failures in a row; a success in between starts anew', () => {
    const bench = two()
    const one = bench.choose()
    bench.pool.failed(one)
    bench.pool.failed(one)
    bench.pool.succeeded(one)
    bench.pool.failed(one)
    bench.pool.failed(one)
    expect(bench.told).toEqual([])
    bench.pool.failed(one)
    expect(bench.told).toEqual(['1 out 10000'])
    expect(bench.ports(4)).toEqual([2, 2, 2, 2])
    expect(bench.counters(1).failed).toBe(5)
  })

  it('tries it with one connection when its time is over, and takes it back when that succeeds', () => {
    const bench = two()
    bench.eject(1)
    bench.time = 10_000
    const probe = [bench.choose(), bench.choose()].find(({ endpoint }) => endpoint.port === 1)
    expect(bench.ports(4)).toEqual([2, 2, 2, 2])
    if (probe === undefined) throw new Error('no probe')
    bench.pool.succeeded(probe)
    expect(bench.told).toEqual(['1 out 10000', '1 back'])
    expect(bench.ports(4).toSorted()).toEqual([1, 1, 2, 2])
  })

  it('doubles the time with every probe that fails, up to a bound', () => {
    const bench = two()
    bench.eject(1)
    for (const [at, next] of [
      [10_000, 20_000],
      [30_000, 40_000],
      [70_000, 60_000],
      [130_000, 60_000],
    ] as const) {
      bench.time = at - 1
      expect(bench.ports(2)).toEqual([2, 2])
      bench.time = at
      const probe = [bench.choose(), bench.choose()].find(({ endpoint }) => endpoint.port === 1)
      if (probe === undefined) throw new Error(`no probe at ${at}`)
      bench.pool.failed(probe)
      expect(bench.told.at(-1)).toBe(`1 out ${next}`)
    }
  })

  it('tries again when nothing came of a probe', () => {
    const bench = two()
    bench.eject(1)
    bench.time = 10_000
    expect(bench.ports(4).filter((port) => port === 1)).toHaveLength(1)
    bench.time = 13_000
    expect(bench.ports(4).filter((port) => port === 1)).toHaveLength(1)
  })

  it('counts attempts that were under way at the time only once', () => {
    const bench = two()
    const attempts = Array.from({ length: 12 }, () => bench.choose()).filter(({ endpoint }) => endpoint.port === 1)
    for (const attempt of attempts) bench.pool.failed(attempt)
    expect(bench.told).toEqual(['1 out 10000'])
  })

  it('never takes the last one that can be used', () => {
    const bench = new Bench([target(1), target(2), target(3)])
    bench.eject(1)
    bench.eject(2)
    for (let i = 0; i < 10; i++) bench.pool.failed(bench.choose())
    expect(bench.told).toEqual(['1 out 10000', '2 out 10000'])
    expect(bench.ports(2)).toEqual([3, 3])
  })

  it('falls back on the ejected when the others have gone', () => {
    const bench = two()
    bench.eject(1)
    bench.update([target(1)])
    expect(bench.ports(2)).toEqual([1, 1])
  })

  it('finds a client of a hash table another endpoint, always the same', () => {
    for (const scheduler of ['sh', 'mh'] as const) {
      const bench = new Bench([target(1), target(2), target(3), target(4)], scheduler)
      const [owner = 0] = bench.ports(1)
      bench.eject(owner)
      const others = new Set(bench.ports(10))
      expect(others.has(owner)).toBe(false)
      expect(others.size).toBe(1)
    }
  })
})

describe('removal', () => {
  it('gives a removed endpoint nothing new, and forgets it when its connections have ended', () => {
    const bench = new Bench([target(1), target(2)])
    bench.open()
    bench.update([target(2)])
    expect(bench.ports(3)).toEqual([2, 2, 2])
    bench.pool.sweep()
    expect(bench.pool.draining.map(({ port }) => port)).toEqual([1])
    bench.counters(1).addActive(-1)
    bench.pool.sweep()
    expect(bench.pool.draining).toEqual([])
  })

  it('takes a draining endpoint back with its connections', () => {
    const bench = new Bench([target(1), target(2)], 'lc')
    const drained = bench.pool.endpoints.find(({ port }) => port === 1)
    bench.counters(1).addActive(1)
    bench.update([target(2)])
    expect(drained?.current).toBe(false)
    bench.update([target(1), target(2)])
    expect(bench.pool.endpoints).toContain(drained)
    expect(drained?.current).toBe(true)
    expect(bench.ports(2)).toEqual([2, 2])
  })
})
