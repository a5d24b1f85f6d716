import { isDeepStrictEqual } from 'node:util'
import {
  type ConnectionOptions,
  defaultConnections,
  type ForwardingMethod,
  forwardingMethods,
} from '../../model/connections.ts'
import { type Fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'

const proxyProtocolName = 'weir.dev/proxy-protocol'
const maxConnectionsName = 'weir.dev/max-connections'
const forwardingName = 'weir.dev/forwarding'
const resetStaleTcpName = 'weir.dev/reset-stale-tcp'

export type ConnectionAnnotation =
  | typeof proxyProtocolName
  | typeof maxConnectionsName
  | typeof forwardingName
  | typeof resetStaleTcpName

const maxLimit = 2 ** 31 - 1

/** What is not understood is reported and left out: traffic never stops for it. */
export const readConnections = (
  root: Place,
  annotations: Fields<ConnectionAnnotation> | undefined,
): ConnectionOptions => {
  if (annotations === undefined) return defaultConnections
  const read = <T>(name: ConnectionAnnotation, reader: (place: Place, value: unknown) => T): T =>
    reader(root.at(`metadata.annotations[${name}]`), annotations[name])
  const options: ConnectionOptions = {
    proxyProtocol: read(proxyProtocolName, readProxyProtocol),
    maxConnections: read(maxConnectionsName, readLimit),
    forwarding: read(forwardingName, readForwarding),
    resetStaleTcp: read(resetStaleTcpName, readResetStaleTcp),
  }
  return isDeepStrictEqual(options, defaultConnections) ? defaultConnections : options
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

const readForwarding = (place: Place, value: unknown): ForwardingMethod => {
  if (isUnset(value)) return defaultConnections.forwarding
  const wanted = typeof value === 'string' ? value.trim() : value
  const method = forwardingMethods.find((known) => known === wanted)
  if (method !== undefined) return method
  const known = forwardingMethods.join(', ')
  place.problem('', `${quote(value)} is not one of ${known}, so ${defaultConnections.forwarding} is used`)
  return defaultConnections.forwarding
}

const readResetStaleTcp = (place: Place, value: unknown): boolean => {
  if (isUnset(value)) return false
  const wanted = typeof value === 'string' ? value.trim() : value
  if (wanted === 'true' || wanted === 'false') return wanted === 'true'
  place.problem('', `${quote(value)} is not "true" or "false", so connections to vanished endpoints are not reset`)
  return false
}
