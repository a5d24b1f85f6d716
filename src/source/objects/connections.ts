import { type ConnectionOptions, defaultConnections } from '../../model/connections.ts'
import { type Fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'

const proxyProtocolName = 'weir.dev/proxy-protocol'
const maxConnectionsName = 'weir.dev/max-connections'

export type ConnectionAnnotation = typeof proxyProtocolName | typeof maxConnectionsName

const maxLimit = 2 ** 31 - 1

/** What is not understood is reported and left out: traffic never stops for it. */
export const readConnections = (
  root: Place,
  annotations: Fields<ConnectionAnnotation> | undefined,
): ConnectionOptions => {
  if (annotations === undefined) return defaultConnections
  const proxyProtocol = readProxyProtocol(
    root.at(`metadata.annotations[${proxyProtocolName}]`),
    annotations[proxyProtocolName],
  )
  const maxConnections = readLimit(
    root.at(`metadata.annotations[${maxConnectionsName}]`),
    annotations[maxConnectionsName],
  )
  return !proxyProtocol && maxConnections === undefined ? defaultConnections : { proxyProtocol, maxConnections }
}

const readProxyProtocol = (place: Place, value: unknown): boolean => {
  if (isUnset(value)) return false
  if (typeof value === 'string' && value.trim() === 'v2') return true
  place.problem('', `${quote(value)} is not "v2", so endpoints get no PROXY protocol header`)
  return false
}

const readLimit = (place: Place, value: unknown): number | undefined => {
  if (isUnset(value)) return undefined
  const written = typeof value === 'string' ? value.trim() : ''
  const limit = /^\d+$/.test(written) ? Number(written) : 0
  if (limit >= 1 && limit <= maxLimit) return limit
  place.problem('', `${quote(value)} is not a whole number from 1 to ${maxLimit}, so connections are not limited`)
  return undefined
}
