import { LineCounter, parseDocument } from 'yaml'
import { type Scheduler, type SchedulerFlag, schedulerFlags, schedulers } from '../model/scheduling.ts'
import { Field, type Mapping, type Reading } from './field.ts'
import { limits } from './limits.ts'
import { readArrivals } from './read-arrivals.ts'
import { readEvents } from './read-events.ts'
import { readPopulation } from './read-population.ts'
import { readServers } from './read-servers.ts'
import type { Scenario, SchedulerPlan } from './scenario.ts'
import { type ScenarioIssue, SimulateError } from './simulate-error.ts'

/** What a scenario may call itself, so that in a folder of manifests it is told from objects that a proxy reads. */
export const scenarioType = { apiVersion: 'weir.dev/v1alpha1', kind: 'Simulation' } as const

/** What the command line says in place of the file. */
export interface Overrides {
  readonly seed?: number | undefined
  readonly connections?: number | undefined
  readonly schedulers?: readonly SchedulerPlan[] | undefined
}

const fields = [
  'apiVersion',
  'kind',
  'title',
  'seed',
  'connections',
  'protocol',
  'linger',
  'arrivals',
  'clients',
  'destinations',
  'servers',
  'events',
  'schedulers',
]

/**
 * Reads a scenario strictly: one YAML document, no unknown fields, no numbers out of range. `file` names it in messages.
 *
 * @throws SimulateError `scenario` with everything that is wrong
 */
export const readScenario = (text: string, file: string, overrides: Overrides = {}): Scenario => {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const reading: Reading = { document, lines, issues: [] }
  for (const { message, pos } of document.errors)
    reading.issues.push({ line: lines.linePos(pos[0]).line, field: '', reason: message })
  if (reading.issues.length > 0) throw new SimulateError('scenario', file, reading.issues)
  const root = new Field(reading, document.contents, '', undefined).mapping(fields)
  reading.issues.push(...overrideIssues(overrides))
  const scenario = build(root, file, overrides)
  if (reading.issues.length > 0) throw new SimulateError('scenario', file, inOrder(reading.issues))
  return scenario
}

const overrideIssues = (overrides: Overrides): readonly ScenarioIssue[] =>
  (['seed', 'connections'] as const).flatMap((name) => {
    const value = overrides[name]
    const { min, max } = limits[name]
    if (value === undefined || (value >= min && value <= max)) return []
    const reason = `must be a whole number from ${min} to ${max}, not ${value}`
    return [{ line: undefined, field: `--${name}`, reason }]
  })

const build = (root: Mapping, file: string, overrides: Overrides): Scenario => {
  root.get('apiVersion')?.choice([scenarioType.apiVersion])
  root.get('kind')?.choice([scenarioType.kind])
  const protocol = root.get('protocol')?.choice(['TCP', 'UDP']) ?? 'TCP'
  const servers = readServers(root.need('servers'))
  return {
    file,
    title: root.get('title')?.text() ?? '',
    seed: overrides.seed ?? root.get('seed')?.whole(limits.seed) ?? 1,
    connections: readConnections(root, overrides),
    protocol,
    linger: root.get('linger')?.duration(limits.duration) ?? lingers[protocol],
    arrivals: readArrivals(root.need('arrivals')),
    clients: readPopulation(root.get('clients'), { number: 1000, skew: 0, addresses: '10.0.0.0/8' }),
    destinations: readPopulation(root.get('destinations'), { number: 1, skew: 0, addresses: '10.96.0.0/12' }),
    servers,
    events: readEvents(root.get('events'), servers),
    schedulers: overrides.schedulers ?? readSchedulers(root.get('schedulers')),
  }
}

/** TIME_WAIT and the timeout of UDP in LVS (tcp_timeouts in ip_vs_proto_tcp.c, udp_timeouts in ip_vs_proto_udp.c). */
const lingers = { TCP: 120, UDP: 300 } as const

const readConnections = (root: Mapping, { connections }: Overrides): number => {
  if (connections !== undefined) return connections
  return root.need('connections')?.whole(limits.connections) ?? 1
}

const readSchedulers = (field: Field | undefined): readonly SchedulerPlan[] => {
  if (field === undefined) return schedulers.map((name) => ({ name, flags: [] }))
  const items = field.list()
  if (items === undefined) return []
  if (items.length === 0) field.wrong('must name at least one')
  const seen = new Set<string>()
  return items.flatMap((item) => {
    const plan = item.isMapping ? readFlagged(item) : planOf(item.choice(schedulers))
    if (plan === undefined) return []
    const key = [plan.name, ...[...plan.flags].sort()].join(' ')
    if (seen.has(key)) item.wrong(`${key} is there twice`)
    seen.add(key)
    return [plan]
  })
}

const planOf = (name: Scheduler | undefined): SchedulerPlan | undefined =>
  name === undefined ? undefined : { name, flags: [] }

const readFlagged = (item: Field): SchedulerPlan | undefined => {
  const map = item.mapping(['name', 'flags'])
  const name = map.need('name')?.choice(schedulers)
  const flags = (map.get('flags')?.list() ?? []).flatMap((field): readonly SchedulerFlag[] => {
    const flag = field.choice(schedulerFlags)
    if (flag === undefined || name === undefined) return []
    if (!flag.startsWith(`${name}-`)) field.wrong(`${name} has no flag ${flag}`)
    return [flag]
  })
  return name === undefined ? undefined : { name, flags: [...new Set(flags)] }
}

/** By line: what is missing is said of the mapping, which begins earlier. */
const inOrder = <T extends { readonly line: number | undefined }>(issues: readonly T[]): readonly T[] =>
  [...issues].sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
