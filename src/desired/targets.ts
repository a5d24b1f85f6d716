import type { Target } from '../model/desired.ts'
import type { Endpoint } from '../model/endpoint-slice.ts'
import type { Candidate } from './endpoints.ts'
import { hintedFor, topologyOf } from './topology.ts'

export interface Choice {
  readonly cluster: readonly Target[]
  readonly local: readonly Target[]
  readonly hasEndpoints: boolean
}

/** Which lists a service port needs. At least one is true. */
export interface Needs {
  readonly cluster: boolean
  readonly local: boolean
}

const noTargets: readonly Target[] = []
export const noChoice: Choice = { cluster: noTargets, local: noTargets, hasEndpoints: false }

/** Of drained candidates those that would be used if they were not: they keep what they have. */
export const drainedTargets = (drained: readonly Candidate[], nodeName: string): readonly Target[] =>
  drained
    .filter(({ endpoint }) => isUsable(endpoint))
    .map(({ ip, port, weight, endpoint }) => ({ ip, port, weight, local: endpoint.nodeName === nodeName }))

/** Gets traffic: always when ready, else where there is nobody better. */
export const isUsable = ({ ready, serving, terminating }: Endpoint): boolean => ready || (serving && terminating)

/**
 * The targets under each traffic policy, in the order of `candidates`. Cluster: the ready ones, by topology; with no
 * ready one anywhere those that still serve while they terminate, topology aside. Local: the same among this node's
 * endpoints, topology aside. A target in both lists is one object.
 */
export const chooseTargets = (
  candidates: readonly Candidate[],
  needs: Needs,
  nodeName: string,
  zone: string | undefined,
): Choice => {
  let ready = 0
  let draining = 0
  let localReady = 0
  let localDraining = 0
  for (const { endpoint } of candidates) {
    const local = endpoint.nodeName === nodeName
    if (endpoint.ready) {
      ready++
      if (local) localReady++
    } else if (endpoint.serving && endpoint.terminating) {
      draining++
      if (local) localDraining++
    }
  }
  if (ready + draining === 0) return noChoice

  const useReady = ready > 0
  const useLocalReady = localReady > 0
  const wantLocal = needs.local && localReady + localDraining > 0
  const topology = needs.cluster && useReady ? topologyOf(candidates, nodeName, zone) : 'none'
  const cluster: Target[] = []
  const local: Target[] = []
  for (const candidate of candidates) {
    const { ip, port, weight, endpoint } = candidate
    if (!isUsable(endpoint)) continue
    const here = endpoint.nodeName === nodeName
    const inCluster =
      needs.cluster && endpoint.ready === useReady && (!useReady || hintedFor(candidate, topology, nodeName, zone))
    const inLocal = wantLocal && here && endpoint.ready === useLocalReady
    if (!inCluster && !inLocal) continue
    const target: Target = { ip, port, weight, local: here }
    if (inCluster) cluster.push(target)
    if (inLocal) local.push(target)
  }
  return { cluster: needs.cluster ? cluster : noTargets, local: needs.local ? local : noTargets, hasEndpoints: true }
}
