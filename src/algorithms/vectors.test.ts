/** What the kernel's schedulers picked, from test/golden/lvs. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ip, port } from '../../test/support/lvs.ts'
import { assertNever } from '../model/assert-never.ts'
import { schedulerFlags, schedulers } from '../model/scheduling.ts'
import { openConnection } from './connections.ts'
import type { OverheadModel } from './cost.ts'
import { tickSeconds } from './destination-cache.ts'
import type { Packet } from './packet.ts'
import { createScheduler } from './registry.ts'
import { createServer, type Server } from './server.ts'

const counters = { activeConns: z.number(), inactiveConns: z.number() }
const serverSchema = z.object({
  id: z.string(),
  weight: z.number(),
  ...counters,
  overloaded: z.boolean().default(false),
  address: z.string().default('10.1.0.1'),
  port: z.number().default(80),
})
const stepSchema = z.discriminatedUnion('op', [
  z.object({
    op: z.literal('pick'),
    count: z.number().default(1),
    client: z.string().default('192.0.2.1'),
    clientPort: z.number().default(0),
    dst: z.string().default('198.51.100.1'),
    random: z.array(z.number()).default([]),
  }),
  z.object({ op: z.literal('setWeight'), id: z.string(), weight: z.number() }),
  z.object({ op: z.literal('setConns'), id: z.string(), ...counters }),
  z.object({ op: z.literal('setOverload'), id: z.string(), overloaded: z.boolean() }),
  z.object({ op: z.literal('add'), server: serverSchema }),
  z.object({ op: z.literal('remove'), id: z.string() }),
  z.object({ op: z.literal('advance'), seconds: z.number() }),
  z.object({ op: z.literal('tick'), count: z.number() }),
])
const vectorSchema = z.object({
  id: z.string(),
  scheduler: z.enum(schedulers),
  flags: z.array(z.enum(schedulerFlags)).default([]),
  expiration: z.number().default(86400),
  overheadModel: z.enum(['any', 'legacy', 'total']),
  afterPick: z.enum(['none', 'active', 'inactive']),
  servers: z.array(serverSchema),
  steps: z.array(stepSchema),
  expectedPicks: z.array(z.string().nullable()),
})
type Vector = z.infer<typeof vectorSchema>

const read = (name: string): readonly Vector[] => {
  const text = readFileSync(new URL(`../../test/golden/lvs/${name}`, import.meta.url), 'utf8')
  return z.object({ vectors: z.array(vectorSchema) }).parse(JSON.parse(text)).vectors
}
/** Worked out by hand or taken from the kernel's own code; each shows one rule. */
const worked = read('schedulers.json')
/** What the unmodified ip_vs_*.c of Linux 6.1.192, run in user space, picked while servers came, went and changed at random. */
const traces = read('traces.json')

const picksOf = (vector: Vector, overhead: OverheadModel): readonly (string | null)[] => {
  const byId = new Map<string, Server>()
  const names = new Map<Server, string>()
  const serverOf = (id: string): Server => {
    const server = byId.get(id)
    if (server === undefined) throw new Error(`no server ${id}`)
    return server
  }
  const make = (spec: z.infer<typeof serverSchema>): Server => {
    const known = byId.get(spec.id)
    if (known !== undefined) return Object.assign(known, { weight: spec.weight })
    const server = createServer({
      ip: ip(spec.address),
      port: port(spec.port),
      weight: spec.weight,
      active: spec.activeConns,
      inactive: spec.inactiveConns,
      overloaded: spec.overloaded,
    })
    byId.set(spec.id, server)
    names.set(server, spec.id)
    return server
  }
  let clock = 1000
  const drawn: number[] = []
  const scheduler = createScheduler(vector.scheduler, {
    servers: vector.servers.map(make),
    flags: vector.flags,
    overhead,
    expiration: vector.expiration,
    now: () => clock,
    random: () => drawn.shift() ?? 0,
  })
  return vector.steps.flatMap((step): readonly (string | null)[] => {
    switch (step.op) {
      case 'pick': {
        const packet: Packet = { client: ip(step.client), clientPort: step.clientPort, destination: ip(step.dst) }
        return Array.from({ length: step.count }, () => {
          drawn.push(...step.random)
          const picked = scheduler.pick(packet)
          drawn.length = 0
          if (picked !== undefined && vector.afterPick !== 'none') openConnection(picked, vector.afterPick)
          return picked === undefined ? null : (names.get(picked) ?? '?')
        })
      }
      case 'setWeight':
        serverOf(step.id).weight = step.weight
        scheduler.update(serverOf(step.id))
        return []
      case 'setConns':
        Object.assign(serverOf(step.id), { active: step.activeConns, inactive: step.inactiveConns })
        return []
      case 'setOverload':
        serverOf(step.id).overloaded = step.overloaded
        return []
      case 'add':
        scheduler.add(make(step.server))
        return []
      case 'remove':
        scheduler.remove(serverOf(step.id))
        return []
      case 'advance':
        for (const end = clock + step.seconds; clock < end; ) {
          clock = Math.min(end, clock + tickSeconds)
          scheduler.tick()
        }
        return []
      case 'tick':
        for (let i = 0; i < step.count; i++) {
          clock += tickSeconds
          scheduler.tick()
        }
        return []
      default:
        return assertNever(step, 'step')
    }
  })
}

describe('the worked vectors', () => {
  for (const vector of worked) {
    const models = vector.overheadModel === 'any' ? (['total', 'legacy'] as const) : [vector.overheadModel]
    it.each(models)(`${vector.id}, overhead %s`, (model) =>
      expect(picksOf(vector, model)).toEqual(vector.expectedPicks),
    )
  }
})

describe('traces of the kernel', () => {
  it.each(traces)('$id', (vector) => expect(picksOf(vector, 'total')).toEqual(vector.expectedPicks))
})

it.each([
  ['worked vectors', worked],
  ['traces', traces],
])('%s cover every scheduler of LVS', (_, vectors) =>
  expect(new Set(vectors.map(({ scheduler }) => scheduler))).toEqual(
    new Set(schedulers.filter((name) => name !== 'random')),
  ),
)
