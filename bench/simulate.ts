/**
 * `node build/bench/simulate.js`: how fast `weir simulate` is. First every scheduler alone on this thread, by processor time,
 * then all of them on threads, as the command runs them. Needs no privilege.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { simulateAll } from '../src/cli/simulate-pool.ts'
import { crowdsOf, readScenario, type Scenario, Simulation, schedulerLabel } from '../src/simulate/index.ts'
import { load, machine } from './machine.ts'

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '1000000' },
    servers: { type: 'string', default: '16' },
    clients: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
})

/** 78 % of what the servers can do, so that there are queues, and two changes of the set. */
const text = `
connections: ${values.connections}
seed: ${values.seed}
arrivals: { pattern: poisson, rate: ${625 * Number(values.servers)} }
clients: { number: ${values.clients}, skew: 1.1 }
servers:
  - { name: server, count: ${values.servers}, weight: 3, capacity: 8, serviceTime: { distribution: exponential, mean: 10ms } }
events:
  - { atConnection: ${Math.ceil(Number(values.connections) / 3)}, server: server-1, action: leave }
  - { atConnection: ${Math.ceil(Number(values.connections) / 2)}, server: server-1, action: join }
`

const print = (line: string): void => void process.stdout.write(`${line}\n`)
const cpuSeconds = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1e6
}

const alone = (scenario: Scenario): void => {
  const crowds = crowdsOf(scenario)
  print(`\nalone  (load ${load()})\n  ${'scheduler'.padEnd(12)}${'ns per connection'.padStart(18)}`)
  for (const plan of scenario.schedulers) {
    const before = process.cpuUsage()
    new Simulation(scenario, plan, crowds).run()
    const each = (cpuSeconds(before) * 1e9) / scenario.connections
    print(`  ${schedulerLabel(plan).padEnd(12)}${each.toFixed(0).padStart(18)}`)
  }
}

const together = async (scenario: Scenario): Promise<void> => {
  const threads = Number(values.threads)
  print(`\ntogether on ${threads} threads  (load ${load()})`)
  const before = process.cpuUsage()
  const start = performance.now()
  await simulateAll(scenario, { threads, progress: () => {}, signal: new AbortController().signal })
  const seconds = (performance.now() - start) / 1000
  const cpu = cpuSeconds(before)
  const count = `${scenario.schedulers.length} schedulers × ${scenario.connections.toLocaleString('en-US')} connections`
  print(
    `  ${count} × ${scenario.servers.length} servers: ${seconds.toFixed(1)} s, ${cpu.toFixed(1)} s of processor time`,
  )
}

const scenario = readScenario(text, 'bench')
print(
  Object.entries(machine())
    .map(([name, value]) => `${name} ${value}`)
    .join(', '),
)
alone(scenario)
await together(scenario)
process.exit(0)
