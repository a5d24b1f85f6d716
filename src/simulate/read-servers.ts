import { assertNever } from '../model/assert-never.ts'
import { addressBytes, familyOf, type IP, parseIP, readIP, writeIP } from '../model/ip.ts'
import { type Port, parsePort } from '../model/port.ts'
import type { Field, Mapping } from './field.ts'
import { limits } from './limits.ts'
import type { ServerPlan, ServiceTime } from './scenario.ts'

const fields = [
  'name',
  'count',
  'address',
  'port',
  'weight',
  'serviceTime',
  'capacity',
  'queue',
  'upperThreshold',
  'lowerThreshold',
  'absent',
]

/** Where servers are that have no address: 10.244.0.1 and on. */
const usualNetwork = [10, 244, 0, 0]
const usualPort = 8080

export const readServers = (field: Field | undefined): readonly ServerPlan[] => {
  const items = field?.list()
  if (field === undefined || items === undefined) return []
  const names = new Set<string>()
  const places = new Set<string>()
  const servers: ServerPlan[] = []
  for (const item of items) {
    for (const plan of readServer(item, servers.length)) {
      if (names.has(plan.name)) item.wrong(`there are two servers ${plan.name}`)
      names.add(plan.name)
      const place = `${plan.ip} port ${plan.port}`
      if (places.has(place)) item.wrong(`two servers have address ${place}`)
      places.add(place)
      servers.push(plan)
    }
    if (servers.length > limits.servers.max) {
      field.wrong(`more than ${limits.servers.max} servers`)
      return servers
    }
  }
  if (items.length === 0) field.wrong('no servers')
  else if (servers.length > 0 && servers.every(({ absent }) => absent)) field.wrong('all servers are absent at first')
  return servers
}

/** One, or as many as `count` says. `before`: how many servers there are already. */
const readServer = (item: Field, before: number): readonly ServerPlan[] => {
  const map = item.mapping(fields)
  const name = map.need('name')?.text()
  const count = map.get('count')?.whole(limits.servers)
  const written = map.get('address')
  const address = written === undefined ? undefined : readAddress(written)
  const port = map.get('port')
  const plan = {
    port: (port === undefined ? undefined : readPort(port)) ?? trustedPort,
    weight: map.get('weight')?.whole(limits.weight) ?? 1,
    serviceTime: readServiceTime(map.need('serviceTime')),
    capacity: map.get('capacity')?.whole(limits.capacity) ?? Number.POSITIVE_INFINITY,
    queue: readQueue(map),
    ...readThresholds(map),
    absent: map.get('absent')?.flag() ?? false,
  }
  return Array.from({ length: count ?? 1 }, (_, i) => ({
    ...plan,
    name: count === undefined ? (name ?? '') : `${name ?? ''}-${i + 1}`,
    ip:
      address === undefined
        ? readIP('IPv4', addTo(Uint8Array.from(usualNetwork), before + i + 1), 0)
        : after(address, i),
  }))
}

const readQueue = (map: Mapping): number => {
  const field = map.get('queue')
  if (field !== undefined && map.get('capacity') === undefined)
    field.wrong('nobody waits without a capacity, which is not given')
  return field?.whole(limits.queue) ?? Number.POSITIVE_INFINITY
}

const readThresholds = (map: Mapping): { readonly upperThreshold: number; readonly lowerThreshold: number } => {
  const upperThreshold = map.get('upperThreshold')?.whole(limits.weight) ?? 0
  const lower = map.get('lowerThreshold')
  const lowerThreshold = lower?.whole(limits.weight) ?? 0
  if (lowerThreshold > upperThreshold) lower?.wrong(`exceeds upperThreshold, which is ${upperThreshold}`)
  return { upperThreshold, lowerThreshold: Math.min(lowerThreshold, upperThreshold) }
}

const readAddress = (field: Field): IP | undefined => {
  const text = field.text()
  if (text === undefined) return undefined
  return parseIP(text) ?? field.wrong(`must be an IP address, not ${field.shown()}`)
}

const readPort = (field: Field): Port | undefined => parsePort(field.whole({ min: 1, max: 65535 }))

const trustedPort = ((): Port => {
  const port = parsePort(usualPort)
  if (port === undefined) throw new RangeError(`${usualPort} is no port`)
  return port
})()

const after = (address: IP, steps: number): IP => {
  const family = familyOf(address)
  const bytes = new Uint8Array(addressBytes(family))
  writeIP(address, bytes, 0)
  return readIP(family, addTo(bytes, steps), 0)
}

/** Adds a number to a big-endian one, in place. */
const addTo = (bytes: Uint8Array, amount: number): Uint8Array => {
  let carry = amount
  for (let i = bytes.length - 1; i >= 0 && carry > 0; i--) {
    const sum = (bytes[i] ?? 0) + carry
    bytes[i] = sum & 0xff
    carry = Math.floor(sum / 256)
  }
  return bytes
}

const kinds = ['constant', 'exponential', 'uniform', 'lognormal', 'pareto'] as const

const parameters = {
  constant: ['mean'],
  exponential: ['mean'],
  uniform: ['from', 'to'],
  lognormal: ['mean', 'sigma'],
  pareto: ['mean', 'alpha'],
} as const satisfies Record<(typeof kinds)[number], readonly string[]>

const nothing: ServiceTime = { kind: 'constant', mean: 1 }

/** A duration alone is constant. */
const readServiceTime = (field: Field | undefined): ServiceTime => {
  if (field === undefined) return nothing
  if (!field.isMapping) return { kind: 'constant', mean: field.duration(limits.serviceTime) ?? 1 }
  const map = field.mapping(['distribution', ...new Set(Object.values(parameters).flat())])
  const kind = map.need('distribution')?.choice(kinds)
  if (kind === undefined) return nothing
  const own: readonly string[] = parameters[kind]
  for (const name of map.names)
    if (name !== 'distribution' && !own.includes(name))
      map.get(name)?.wrong(`distribution ${kind} has no such field; its own are ${own.join(', ')}`)
  const seconds = (name: string, min = 1e-9): number => map.need(name)?.duration({ ...limits.serviceTime, min }) ?? 1
  switch (kind) {
    case 'constant':
      return { kind, mean: seconds('mean', 0) }
    case 'exponential':
      return { kind, mean: seconds('mean') }
    case 'uniform': {
      const from = seconds('from', 0)
      const to = seconds('to')
      if (from > to) map.get('to')?.wrong(`is less than from, which is ${from} s`)
      return { kind, from, to }
    }
    case 'lognormal':
      return { kind, mean: seconds('mean'), sigma: map.need('sigma')?.number(limits.sigma) ?? 1 }
    case 'pareto':
      return { kind, mean: seconds('mean'), alpha: map.need('alpha')?.number(limits.alpha) ?? 2 }
    default:
      return assertNever(kind, 'distribution')
  }
}
