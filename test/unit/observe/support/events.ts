import { serviceKey } from '../../../../src/model/names.ts'
import { parsePort } from '../../../../src/model/port.ts'
import type { HealthCheck, SyncEvents } from '../../../../src/sync/events.ts'

export const applied = (event: Partial<SyncEvents['applied']> = {}): SyncEvents['applied'] => ({
  family: 'IPv4',
  kind: 'partial',
  durationMs: 1,
  stages: { desiredMs: 0.2, planMs: 0.3, applyMs: 0.5 },
  endpointTriggers: [],
  added: 0,
  removed: 0,
  structure: false,
  at: 0,
  ...event,
})

export const failed = (event: Partial<SyncEvents['failed']> = {}): SyncEvents['failed'] => ({
  family: 'IPv4',
  kind: 'partial',
  durationMs: 1,
  code: 'busy',
  op: 'commit',
  message: 'commit: device or resource busy',
  at: 0,
  retryInMs: 1_000,
  ...event,
})

export const flowsFailed = (event: Partial<SyncEvents['flowsFailed']> = {}): SyncEvents['flowsFailed'] => ({
  family: 'IPv4',
  durationMs: 1,
  deleted: 0,
  code: 'permission',
  op: 'list IPv4 UDP flows',
  message: 'list IPv4 UDP flows: EPERM',
  retryInMs: 50,
  at: 0,
  ...event,
})

export const healthCheck = (name: string, port: number, localEndpoints: number): HealthCheck => {
  const parsed = parsePort(port)
  if (parsed === undefined) throw new RangeError(`no port: ${port}`)
  return { namespace: 'default', name, port: parsed, localEndpoints }
}

/** A healthChecks event for services of namespace default; undefined = the Service is gone. */
export const healthChecks = (
  family: 'IPv4' | 'IPv6',
  changed: Readonly<Record<string, HealthCheck | undefined>>,
): SyncEvents['healthChecks'] => ({
  family,
  changed: new Map(Object.entries(changed).map(([name, check]) => [serviceKey('default', name), check])),
})
