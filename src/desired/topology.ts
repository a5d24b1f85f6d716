import type { Candidate } from './endpoints.ts'

/** Which endpoints of the Cluster list this node should use. */
export type Topology = 'node' | 'zone' | 'none'

const names = (hints: readonly string[] | undefined, name: string): boolean => hints?.includes(name) ?? false
const has = (hints: readonly string[] | undefined): boolean => hints !== undefined && hints.length > 0

/**
 * A level applies when every ready endpoint has hints of it and at least one names us; nodes are tried before zones.
 * One ready endpoint without a hint switches the level off. Only ready endpoints are looked at.
 */
export const topologyOf = (candidates: readonly Candidate[], nodeName: string, zone: string | undefined): Topology => {
  let everyNode = true
  let everyZone = true
  let ourNode = false
  let ourZone = false
  for (const { endpoint } of candidates) {
    if (!endpoint.ready) continue
    const { nodeHints, zoneHints } = endpoint
    everyNode &&= has(nodeHints)
    everyZone &&= has(zoneHints)
    if (!everyNode && !everyZone) return 'none'
    ourNode ||= names(nodeHints, nodeName)
    ourZone ||= zone !== undefined && names(zoneHints, zone)
  }
  if (everyNode && ourNode) return 'node'
  return everyZone && ourZone ? 'zone' : 'none'
}

export const hintedFor = (
  { endpoint }: Candidate,
  topology: Topology,
  nodeName: string,
  zone: string | undefined,
): boolean =>
  topology === 'none' ||
  (topology === 'node' ? names(endpoint.nodeHints, nodeName) : zone !== undefined && names(endpoint.zoneHints, zone))
