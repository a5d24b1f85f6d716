import { readFileSync } from 'node:fs'
import { describe, expect, it, test } from 'vitest'
import { schedulers } from '../model/scheduling.ts'
import { readScenario } from './read-scenario.ts'
import { SimulateError } from './simulate-error.ts'

const smallest = `connections: 10
arrivals: { pattern: poisson, rate: 5 }
servers:
  - { name: a, serviceTime: 10ms }
`

const errorsOf = (text: string, overrides = {}): string => {
  try {
    readScenario(text, 's.yaml', overrides)
  } catch (error) {
    if (error instanceof SimulateError && error.code === 'scenario') return error.message
    throw error
  }
  return ''
}

/** The smallest scenario with a line of it exchanged for others. */
const having = (pattern: RegExp, line: string): string => smallest.replace(pattern, line)
const servers = (lines: string): string => having(/servers:\n.*\n/, `servers:\n${lines}\n`)

describe('a scenario', () => {
  it('needs little, and has defaults for the rest', () => {
    const scenario = readScenario(smallest, 's.yaml')
    expect(scenario).toMatchObject({
      file: 's.yaml',
      title: '',
      seed: 1,
      connections: 10,
      protocol: 'TCP',
      linger: 120,
      arrivals: { kind: 'poisson', rate: 5 },
      clients: { number: 1000, skew: 0, addresses: '10.0.0.0/8' },
      destinations: { number: 1 },
      events: [],
    })
    expect(scenario.servers).toEqual([
      {
        name: 'a',
        ip: '10.244.0.1',
        port: 8080,
        weight: 1,
        serviceTime: { kind: 'constant', mean: 0.01 },
        capacity: Number.POSITIVE_INFINITY,
        queue: Number.POSITIVE_INFINITY,
        upperThreshold: 0,
        lowerThreshold: 0,
        absent: false,
      },
    ])
    expect(scenario.schedulers.map(({ name }) => name)).toEqual(schedulers)
    expect(readScenario(`protocol: UDP\n${smallest}`, '').linger).toBe(300)
  })

  it('may repeat a server, and use anchors', () => {
    const { servers: made } = readScenario(
      servers(
        '  - { name: web, count: 300, serviceTime: &quick { distribution: exponential, mean: 1ms } }\n' +
          '  - { name: v6, count: 2, address: "2001:db8::ffff", serviceTime: *quick }\n  - { name: 7, serviceTime: 1s }',
      ),
      '',
    )
    expect([made[0]?.name, made[299]?.name, made[300]?.name, made[302]?.name]).toEqual([
      'web-1',
      'web-300',
      'v6-1',
      '7',
    ])
    expect(made[299]?.ip).toBe('10.244.1.44')
    expect([made[300]?.ip, made[301]?.ip]).toEqual(['2001:db8::ffff', '2001:db8::1:0'])
    expect(made[301]?.serviceTime).toEqual({ kind: 'exponential', mean: 0.001 })
  })

  it('takes seed, connections and schedulers from the command line', () => {
    const plans = [{ name: 'mh', flags: [] }] as const
    const scenario = readScenario(smallest, '', { seed: 9, connections: 7, schedulers: plans })
    expect(scenario).toMatchObject({ seed: 9, connections: 7, schedulers: plans })
    expect(readScenario(smallest.replace('connections: 10', ''), '', { connections: 7 }).connections).toBe(7)
  })

  it('may say what it is, as Kubernetes objects do', () => {
    expect(readScenario(`apiVersion: weir.dev/v1alpha1\nkind: Simulation\n${smallest}`, '').connections).toBe(10)
    expect(errorsOf(`kind: Service\n${smallest}`)).toBe('s.yaml:1: kind: must be one of Simulation, not "Service"')
  })

  it('has schedulers with flags', () => {
    const text = `${smallest}schedulers: [rr, { name: mh, flags: [mh-port, mh-fallback] }, { name: mh }]\n`
    expect(readScenario(text, '').schedulers).toEqual([
      { name: 'rr', flags: [] },
      { name: 'mh', flags: ['mh-port', 'mh-fallback'] },
      { name: 'mh', flags: [] },
    ])
  })
})

describe('what is wrong is said with file, line and field:', () => {
  const events = (...lines: readonly string[]): string =>
    `${smallest}events:\n${lines.map((line) => `  - ${line}\n`).join('')}`
  test.each([
    ['nothing', '', 's.yaml: must be a mapping with apiVersion, kind, title, seed, connections'],
    ['a list', '- a', 's.yaml:1: must be a mapping with apiVersion, kind'],
    ['no YAML', 'a: [', /^s\.yaml:1: /],
    ['a key twice', `${smallest}connections: 5`, 's.yaml:5: Map keys must be unique'],
    ['two documents', `${smallest}---\n${smallest}`, 's.yaml:5: Source contains multiple documents'],
    [
      'an unknown field',
      `${smallest}sede: 5`,
      's.yaml:5: sede: unknown field; known are apiVersion, kind, title, seed',
    ],
    ['a field without value', `${smallest}seed:`, 's.yaml:5: seed: has no value'],
    ['no connections', having(/connections.*\n/, ''), 's.yaml:1: connections is missing'],
    [
      'a text for a number',
      having(/10/, 'many'),
      's.yaml:1: connections: must be a whole number from 1 to 100000000, not "many"',
    ],
    [
      'half a connection',
      having(/10/, '10.5'),
      's.yaml:1: connections: must be a whole number from 1 to 100000000, not 10.5',
    ],
    ['too many connections', having(/10/, '1e12'), 'connections: must be a whole number from 1 to 100000000, not 1e12'],
    ['no servers', servers('  []'), 's.yaml:4: servers: no servers'],
    ['no list of servers', having(/servers:\n.*/, 'servers: 3'), 's.yaml:3: servers: must be a list, not 3'],
    [
      'a negative weight',
      servers('  - { name: a, weight: -1, serviceTime: 1s }'),
      's.yaml:4: servers[0].weight: must be a whole number from 0 to 2147483647, not -1',
    ],
    [
      'a weight beyond an int',
      servers('  - { name: a, weight: 2147483648, serviceTime: 1s }'),
      'servers[0].weight: must be a whole number from 0 to 2147483647, not 2147483648',
    ],
    ['no name', servers('  - { serviceTime: 1s }'), 's.yaml:4: servers[0]: name is missing'],
    [
      'a name twice',
      servers('  - { name: a, serviceTime: 1s }\n  - { name: a, serviceTime: 1s }'),
      's.yaml:5: servers[1]: there are two servers a',
    ],
    [
      'an address twice',
      servers(
        '  - { name: a, address: 10.0.0.1, serviceTime: 1s }\n  - { name: b, address: 10.0.0.1, serviceTime: 1s }',
      ),
      's.yaml:5: servers[1]: two servers have address 10.0.0.1 port 8080',
    ],
    [
      'no address',
      servers('  - { name: a, address: here, serviceTime: 1s }'),
      'servers[0].address: must be an IP address, not "here"',
    ],
    [
      'a port beyond 16 bits',
      servers('  - { name: a, port: 65536, serviceTime: 1s }'),
      'servers[0].port: must be a whole number from 1 to 65535, not 65536',
    ],
    [
      'too many servers',
      servers('  - { name: a, count: 20000, serviceTime: 1s }'),
      'servers[0].count: must be a whole number from 1 to 10000, not 20000',
    ],
    [
      'absent servers only',
      servers('  - { name: a, absent: true, serviceTime: 1s }'),
      's.yaml:4: servers: all servers are absent at first',
    ],
    [
      'a queue without capacity',
      servers('  - { name: a, queue: 3, serviceTime: 1s }'),
      'servers[0].queue: nobody waits without a capacity',
    ],
    [
      'thresholds the wrong way',
      servers('  - { name: a, upperThreshold: 3, lowerThreshold: 4, serviceTime: 1s }'),
      'servers[0].lowerThreshold: exceeds upperThreshold, which is 3',
    ],
    [
      'a duration without unit',
      servers('  - { name: a, serviceTime: 10 }'),
      's.yaml:4: servers[0].serviceTime: must be a duration with its unit, such as 250us, 10ms, 1.5s or 2m, not 10',
    ],
    [
      'a negative duration',
      servers('  - { name: a, serviceTime: -1s }'),
      'servers[0].serviceTime: must be a duration with its unit',
    ],
    [
      'a huge duration',
      servers('  - { name: a, serviceTime: 99999999h }'),
      'servers[0].serviceTime: must be a duration from 0 s to 1000000 s, not "99999999h"',
    ],
    [
      'an unknown distribution',
      servers('  - { name: a, serviceTime: { distribution: normal, mean: 1s } }'),
      'servers[0].serviceTime.distribution: must be one of constant, exponential, uniform, lognormal, pareto, not "normal"',
    ],
    [
      'a parameter of another distribution',
      servers('  - { name: a, serviceTime: { distribution: exponential, mean: 1s, sigma: 1 } }'),
      'servers[0].serviceTime.sigma: distribution exponential has no such field; its own are mean',
    ],
    [
      'bounds the wrong way',
      servers('  - { name: a, serviceTime: { distribution: uniform, from: 2s, to: 1s } }'),
      'servers[0].serviceTime.to: is less than from, which is 2 s',
    ],
    [
      'a mean of 0',
      servers('  - { name: a, serviceTime: { distribution: exponential, mean: 0s } }'),
      'servers[0].serviceTime.mean: must be a duration from 1e-9 s',
    ],
    [
      'a tail too heavy to have a mean',
      servers('  - { name: a, serviceTime: { distribution: pareto, mean: 1s, alpha: 1 } }'),
      'servers[0].serviceTime.alpha: must be a number from 1.001',
    ],
    ['no rate', having(/, rate: 5/, ''), 's.yaml:2: arrivals: rate is missing'],
    [
      'a rate of 0',
      having(/rate: 5/, 'rate: 0'),
      's.yaml:2: arrivals.rate: must be a number from 0.000001 to 1000000000, not 0',
    ],
    [
      'a rate that is no number',
      having(/rate: 5/, 'rate: .nan'),
      's.yaml:2: arrivals.rate: must be a number from 0.000001 to 1000000000, not .nan',
    ],
    [
      'an infinite rate',
      having(/rate: 5/, 'rate: 1e999'),
      'arrivals.rate: must be a number from 0.000001 to 1000000000, not 1e999',
    ],
    [
      'an unknown pattern',
      having(/poisson/, 'often'),
      'arrivals.pattern: must be one of poisson, constant, bursts, ramp, not "often"',
    ],
    [
      'a field of another pattern',
      having(/rate: 5/, 'rate: 5, size: 3'),
      'arrivals.size: pattern poisson has no such field; its own are rate',
    ],
    [
      'bursts that overlap',
      having(/poisson, rate: 5/, 'bursts, rate: 5, size: 10, within: 3s'),
      'arrivals.within: is longer than the 2 s from one burst to the next',
    ],
    [
      'more clients than addresses',
      `${smallest}clients: { number: 300, addresses: 10.0.0.0/24 }`,
      's.yaml:5: clients.addresses: 10.0.0.0/24 has 256 addresses, for 300',
    ],
    [
      'no network',
      `${smallest}clients: { addresses: 10.0.0.1 }`,
      'clients.addresses: must be a network such as 10.0.0.0/8 or 2001:db8::/64, not "10.0.0.1"',
    ],
    [
      'too many clients',
      `${smallest}clients: { number: 1000001 }`,
      'clients.number: must be a whole number from 1 to 1000000, not 1000001',
    ],
    ['a negative skew', `${smallest}clients: { skew: -1 }`, 'clients.skew: must be a number from 0 to 10, not -1'],
    [
      'an unknown scheduler',
      `${smallest}schedulers: [best]`,
      's.yaml:5: schedulers[0]: must be one of random, rr, wrr',
    ],
    [
      'a flag of another scheduler',
      `${smallest}schedulers: [{ name: mh, flags: [sh-port] }]`,
      's.yaml:5: schedulers[0].flags[0]: mh has no flag sh-port',
    ],
    ['a scheduler twice', `${smallest}schedulers: [rr, rr]`, 's.yaml:5: schedulers[1]: rr is there twice'],
    ['no schedulers', `${smallest}schedulers: []`, 's.yaml:5: schedulers: must name at least one'],
    ['a negative seed', `${smallest}seed: -1`, 's.yaml:5: seed: must be a whole number from 0 to 4294967295, not -1'],
    [
      'an event without a time',
      events('{ server: a, action: die }'),
      's.yaml:6: events[0]: needs either at or atConnection',
    ],
    [
      'an event with two times',
      events('{ at: 1s, atConnection: 5, server: a, action: die }'),
      's.yaml:6: events[0]: needs either at or atConnection',
    ],
    [
      'an event of nobody',
      events('{ at: 1s, server: z, action: die }'),
      's.yaml:6: events[0].server: there is no server z',
    ],
    [
      'an unknown action',
      events('{ at: 1s, server: a, action: explode }'),
      'events[0].action: must be one of die, leave, join, drain, weight, slow, not "explode"',
    ],
    [
      'a parameter of another action',
      events('{ at: 1s, server: a, action: drain, weight: 0 }'),
      'events[0].weight: action drain has no such field',
    ],
    ['no weight', events('{ at: 1s, server: a, action: weight }'), 'events[0]: weight is missing'],
    [
      'times out of order',
      events('{ at: 2s, server: a, action: drain }', '{ at: 1s, server: a, action: slow, factor: 2 }'),
      's.yaml:7: events[1].at: out of order: an earlier event is at 2 s',
    ],
    [
      'connections out of order',
      events(
        '{ atConnection: 5, server: a, action: drain }',
        '{ atConnection: 4, server: a, action: slow, factor: 2 }',
      ),
      's.yaml:7: events[1].atConnection: out of order: an earlier event is at connection 5',
    ],
    [
      'a join of who is there',
      events('{ at: 1s, server: a, action: join }'),
      's.yaml:6: events[0]: the server is there already',
    ],
    [
      'a weight for the dead',
      events('{ at: 1s, server: a, action: die }', '{ at: 2s, server: a, action: drain }'),
      's.yaml:7: events[1]: the server is dead then',
    ],
    [
      'a death of who has left',
      events('{ at: 1s, server: a, action: leave }', '{ at: 2s, server: a, action: die }'),
      's.yaml:7: events[1]: the server is not there then',
    ],
  ])('%s', (_what, text, message) => {
    const said = errorsOf(text)
    if (typeof message === 'string') expect(said).toContain(message)
    else expect(said).toMatch(message)
    expect(said.split('\n')).toHaveLength(1)
    expect(said.startsWith('s.yaml')).toBe(true)
  })

  it('everything at once, by line', () => {
    const text = 'connections: 0\nwhat: 1\nservers:\n  - { name: a, weight: x }\nevents: 3\n'
    expect(errorsOf(text).split('\n')).toEqual(
      [
        's.yaml:1: connections: must be a whole number from 1 to 100000000, not 0',
        's.yaml:1: arrivals is missing',
        's.yaml:2: what: unknown field; known are apiVersion, kind, title, seed, connections, protocol, linger, arrivals, clients, destinations, servers, events, schedulers',
        's.yaml:4: servers[0].weight: must be a whole number from 0 to 2147483647, not "x"',
        's.yaml:4: servers[0]: serviceTime is missing',
        's.yaml:5: events: must be a list, not 3',
      ].sort((a, b) => Number(a.split(':')[1]) - Number(b.split(':')[1])),
    )
  })

  it('what the command line asks for', () => {
    expect(errorsOf(smallest, { seed: -1, connections: 0 })).toBe(
      's.yaml: --seed: must be a whole number from 0 to 4294967295, not -1\n' +
        's.yaml: --connections: must be a whole number from 1 to 100000000, not 0',
    )
  })

  it('in one line even when the value is long', () => {
    const said = errorsOf(having(/10/, `"${'x'.repeat(5000)}"`))
    expect(said.length).toBeLessThan(200)
  })
})

describe('docs/simulate.md', () => {
  const document = readFileSync(new URL('../../docs/simulate.md', import.meta.url), 'utf8')
  const strange = 'x: 1'

  test.each([
    ['a scenario', `${smallest}${strange}`],
    ['arrivals', having(/rate: 5/, `rate: 5, ${strange}`)],
    ['a server', servers(`  - { name: a, serviceTime: 1s, ${strange} }`)],
    ['a service time', servers(`  - { name: a, serviceTime: { distribution: constant, mean: 1s, ${strange} } }`)],
    ['clients', `${smallest}clients: { ${strange} }`],
    ['an event', `${smallest}events: [{ at: 1s, server: a, action: drain, ${strange} }]`],
  ])('names every field of %s', (_what, text) => {
    const known = /known are (.*)$/.exec(errorsOf(text))?.[1]?.split(', ') ?? []
    expect(known.length).toBeGreaterThan(2)
    for (const name of known) expect(document).toMatch(new RegExp(`\\b${name}\\b`))
  })

  it('names every action and every field of the results', () => {
    const actions = /must be one of (.*), not/.exec(
      errorsOf(`${smallest}events: [{ at: 1s, server: a, action: x }]`),
    )?.[1]
    for (const action of actions?.split(', ') ?? []) expect(document).toContain(`| \`${action}\` |`)
    const golden = readFileSync(new URL('reports.golden.json', import.meta.url), 'utf8')
    for (const [, name = ''] of golden.matchAll(/^ +"(\w+)":/gm))
      expect(document).toMatch(new RegExp(`[\`.]${name}\\b`))
  })
})
