import type { Endpoint, EndpointSlice } from '../model/endpoint-slice.ts'
import { type Family, type IP, isFamily } from '../model/ip.ts'
import type { Port } from '../model/port.ts'
import type { Protocol } from '../model/protocol.ts'
import { type Weights, weightOf } from './weights.ts'

/** An endpoint on the port it offers to one service port. */
export interface Candidate {
  readonly ip: IP
  readonly port: Port
  readonly weight: number
  readonly endpoint: Endpoint
}

/** `ip:port`, `[ip]:port` for IPv6: the text by which endpoints are sorted and compared. */
export const endpointText = (ip: IP, port: Port): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)

/** A service port, as slices know it. */
export interface OfferedPort {
  readonly family: Family
  readonly name: string
  readonly protocol: Protocol
}

/** Every endpoint that the slices of one family offer to a service port, in no order; one may come several times. */
export const forEachOffer = (
  { family, name, protocol }: OfferedPort,
  slices: Iterable<EndpointSlice>,
  each: (endpoint: Endpoint, port: Port) => void,
): void => {
  for (const slice of slices) {
    if (slice.family !== family) continue
    for (const { name: offered, protocol: by, port } of slice.ports) {
      if (offered !== name || by !== protocol) continue
      for (const endpoint of slice.endpoints) if (isFamily(endpoint.ip, family)) each(endpoint, port)
    }
  }
}

/**
 * The endpoints that slices offer to a service port, sorted by `ip:port` as text, one per `ip:port`. Drained endpoints
 * (weight 0) are left out.
 */
export const candidates = (
  offered: OfferedPort,
  slices: Iterable<EndpointSlice>,
  weights: Weights,
): readonly Candidate[] => {
  const found: Candidate[] = []
  forEachOffer(offered, slices, (endpoint, port) => {
    const weight = weightOf(endpoint, weights)
    if (weight > 0) found.push({ ip: endpoint.ip, port, weight, endpoint })
  })
  return sortedOnce(found)
}

/** The drained ones, in the same order; without those that somebody else describes as not drained. */
export const drainedCandidates = (
  offered: OfferedPort,
  slices: Iterable<EndpointSlice>,
  weights: Weights,
  candidates: readonly Candidate[],
): readonly Candidate[] => {
  const found: Candidate[] = []
  if (weights === undefined) return found
  forEachOffer(offered, slices, (endpoint, port) => {
    if (weightOf(endpoint, weights) === 0) found.push({ ip: endpoint.ip, port, weight: 0, endpoint })
  })
  if (found.length === 0) return found
  const others = new Set(candidates.map(({ ip, port }) => endpointText(ip, port)))
  return sortedOnce(found.filter(({ ip, port }) => !others.has(endpointText(ip, port))))
}

const sortedOnce = (found: Candidate[]): readonly Candidate[] =>
  found.length > 1 ? withoutDuplicates(found.sort(compareCandidates)) : found

const compareCandidates = (a: Candidate, b: Candidate): number => {
  if (a.ip !== b.ip) return compareAddresses(a.ip, b.ip)
  return a.port === b.port ? 0 : `${a.port}` < `${b.port}` ? -1 : 1
}

/** Compares two different addresses as {@link endpointText} would, without building the texts. */
const compareAddresses = (a: IP, b: IP): number => {
  if (a.length === b.length) return a < b ? -1 : 1
  // What follows the shorter text is ':' or ']': above every digit, and ']' is below 'a' to 'f'.
  if (a.length < b.length) return b.startsWith(a) ? endVersus(b, a.length) : a < b ? -1 : 1
  return a.startsWith(b) ? -endVersus(a, b.length) : a < b ? -1 : 1
}

const endVersus = (longer: IP, at: number): number => (longer.charCodeAt(at) > bracket ? -1 : 1)
const bracket = ']'.charCodeAt(0)

const withoutDuplicates = (sorted: readonly Candidate[]): readonly Candidate[] => {
  let kept: Candidate[] | undefined
  let last: Candidate | undefined
  for (let i = 0; i < sorted.length; i++) {
    const next = sorted[i]
    if (next === undefined) continue
    if (last !== undefined && last.ip === next.ip && last.port === next.port) {
      kept ??= sorted.slice(0, i)
      if (compareDuplicates(next.endpoint, last.endpoint) < 0) {
        kept[kept.length - 1] = next
        last = next
      }
      continue
    }
    last = next
    kept?.push(next)
  }
  return kept ?? sorted
}

/**
 * Which of two descriptions of one `ip:port` counts, negative = the first. A pod's address may be used again while
 * the old pod's endpoint is still terminating, so one that is not terminating wins. What follows only makes the
 * answer independent of order: ready, serving, then the text of the rest.
 */
export const compareDuplicates = (a: Endpoint, b: Endpoint): number =>
  Number(a.terminating) - Number(b.terminating) ||
  Number(b.ready) - Number(a.ready) ||
  Number(b.serving) - Number(a.serving) ||
  compareText(restOf(a), restOf(b))

const restOf = ({ nodeName, podName, zone, nodeHints, zoneHints }: Endpoint): string =>
  JSON.stringify([nodeName, podName, zone, nodeHints, zoneHints])

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
