import { assertNever } from '../model/assert-never.ts'
import type { Field, Mapping } from './field.ts'
import { limits } from './limits.ts'
import type { PlannedEvent, ServerAction, ServerPlan, Trigger } from './scenario.ts'

const actions = ['die', 'leave', 'join', 'drain', 'weight', 'slow'] as const

/** What else an action needs or may have. */
const parameter = {
  die: 'noticedAfter',
  leave: undefined,
  join: undefined,
  drain: undefined,
  weight: 'weight',
  slow: 'factor',
} as const satisfies Record<(typeof actions)[number], string | undefined>

const fields = ['at', 'atConnection', 'server', 'action', 'noticedAfter', 'weight', 'factor']

/** Where a server stands, going by the list alone. */
type Standing = 'there' | 'away' | 'dead'

/** Reads the events, and follows them: nobody leaves who is not there. */
export const readEvents = (field: Field | undefined, servers: readonly ServerPlan[]): readonly PlannedEvent[] => {
  if (field === undefined) return []
  const standings = servers.map(({ absent }): Standing => (absent ? 'away' : 'there'))
  const before: { time: number; connection: number } = { time: 0, connection: 1 }
  const items = field.list() ?? []
  if (items.length > limits.events.max) field.wrong(`more than ${limits.events.max} events`)
  return items.flatMap((item) => {
    const map = item.mapping(fields)
    const trigger = readTrigger(map)
    const server = readServerName(map, servers)
    const action = readAction(map)
    if (trigger === undefined || server === undefined || action === undefined) return []
    inOrder(map, trigger, before)
    standings[server] = follow(item, standings[server] ?? 'away', action)
    return [{ trigger, server, action, line: item.line }]
  })
}

const readTrigger = (map: Mapping): Trigger | undefined => {
  const time = map.get('at')
  const connection = map.get('atConnection')
  if ((time === undefined) === (connection === undefined))
    return map.field.isMapping ? map.field.wrong('needs either at or atConnection') : undefined
  const at = time?.duration(limits.duration)
  if (at !== undefined) return { kind: 'time', at }
  const number = connection?.whole(limits.connections)
  return number === undefined ? undefined : { kind: 'connection', number }
}

const readServerName = (map: Mapping, servers: readonly ServerPlan[]): number | undefined => {
  const field = map.need('server')
  const name = field?.text()
  if (name === undefined) return undefined
  const index = servers.findIndex((server) => server.name === name)
  return index >= 0 ? index : field?.wrong(`there is no server ${name}`)
}

const readAction = (map: Mapping): ServerAction | undefined => {
  const name = map.need('action')?.choice(actions)
  if (name === undefined) return undefined
  for (const other of ['noticedAfter', 'weight', 'factor'])
    if (other !== parameter[name]) map.get(other)?.wrong(`action ${name} has no such field`)
  switch (name) {
    case 'die':
      return { kind: 'die', noticedAfter: map.get('noticedAfter')?.duration(limits.duration) ?? 0 }
    case 'leave':
    case 'join':
      return { kind: name }
    case 'drain':
      return { kind: 'weight', weight: 0 }
    case 'weight': {
      const weight = map.need('weight')?.whole(limits.weight)
      return weight === undefined ? undefined : { kind: 'weight', weight }
    }
    case 'slow': {
      const factor = map.need('factor')?.number(limits.factor)
      return factor === undefined ? undefined : { kind: 'slow', factor }
    }
    default:
      return assertNever(name, 'action')
  }
}

/** Times and connection numbers each go up; how they mix shows when the arrivals are known. */
const inOrder = (map: Mapping, trigger: Trigger, before: { time: number; connection: number }): void => {
  if (trigger.kind === 'time') {
    if (trigger.at < before.time) map.get('at')?.wrong(`out of order: an earlier event is at ${before.time} s`)
    before.time = Math.max(before.time, trigger.at)
  } else {
    if (trigger.number < before.connection)
      map.get('atConnection')?.wrong(`out of order: an earlier event is at connection ${before.connection}`)
    before.connection = Math.max(before.connection, trigger.number)
  }
}

const follow = (item: Field, standing: Standing, action: ServerAction): Standing => {
  if (action.kind === 'join') {
    if (standing === 'there') item.wrong('the server is there already')
    return 'there'
  }
  if (standing === 'away') item.wrong('the server is not there then')
  if (standing === 'dead') item.wrong('the server is dead then')
  if (action.kind === 'die') return 'dead'
  return action.kind === 'leave' ? 'away' : standing
}
