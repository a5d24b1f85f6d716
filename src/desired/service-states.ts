import type { ServiceState } from '../model/desired.ts'
import type { EndpointSlice } from '../model/endpoint-slice.ts'
import { isFamily } from '../model/ip.ts'
import { servicePortId, servicePortName } from '../model/names.ts'
import type { Scheduling } from '../model/scheduling.ts'
import type { Service } from '../model/service.ts'
import { addressesOf } from './addresses.ts'
import type { DesiredContext } from './context.ts'
import { candidates, drainedCandidates } from './endpoints.ts'
import { effectiveScheduling } from './scheduling.ts'
import { sourceRangesOf, unrestricted } from './source-ranges.ts'
import { chooseTargets, drainedTargets } from './targets.ts'

const noStates: readonly ServiceState[] = []

/**
 * What one Service must be on this node in one family, a state per service port; empty when the Service has no
 * ClusterIP of the family. `slices` may hold both families. The rules are docs/service-semantics.md.
 */
export const desiredStates = (
  service: Service,
  slices: Iterable<EndpointSlice>,
  context: DesiredContext,
): readonly ServiceState[] => {
  const { family, nodeName, zone, nodeIP } = context
  const clusterIP = service.clusterIPs.find((ip) => isFamily(ip, family))
  if (clusterIP === undefined) return noStates

  const { weights } = service.scheduling
  const scheduling = resolved(effectiveScheduling(service.scheduling, context.supportedSchedulers))
  const written = service.loadBalancerIPs.length === 0 ? [] : service.sourceRanges
  const sources = written.length === 0 ? unrestricted : sourceRangesOf(written, family, nodeIP)

  return service.ports.map((port) => {
    const addresses = addressesOf(service, port, clusterIP, context)
    const { loadBalancerIPs, externalIPs, nodePort } = addresses
    const external = nodePort !== undefined || loadBalancerIPs.length > 0 || externalIPs.length > 0
    const { internalPolicy } = service
    const externalPolicy = external ? service.externalPolicy : 'Cluster'
    const needs = {
      // Even under externalTrafficPolicy Local: pods and the node itself are sent anywhere.
      cluster: internalPolicy === 'Cluster' || external,
      local: internalPolicy === 'Local' || externalPolicy === 'Local',
    }
    const offered = { family, name: port.name, protocol: port.protocol }
    const found = candidates(offered, slices, weights)
    const drained = drainedTargets(drainedCandidates(offered, slices, weights, found), nodeName)
    const { cluster, local, hasEndpoints } = chooseTargets(found, needs, nodeName, zone)
    const { ranges, nodeInside } = loadBalancerIPs.length === 0 ? unrestricted : sources
    const name = servicePortName(service.key, port.name)
    return {
      id: servicePortId(name, port.protocol),
      name,
      service: service.key,
      family,
      protocol: port.protocol,
      port: port.port,
      clusterIP: addresses.clusterIP,
      externalIPs,
      loadBalancerIPs,
      nodePort,
      healthCheckNodePort: addresses.healthCheckNodePort,
      sourceRanges: ranges,
      nodeInSourceRanges: nodeInside,
      internalPolicy,
      externalPolicy,
      affinitySeconds: service.affinitySeconds,
      scheduling,
      connections: service.connections,
      cluster,
      local,
      ...(drained.length > 0 && { drained }),
      hasEndpoints,
    }
  })
}

/** The weights are in the targets by now: a state must not differ by weights of endpoints it does not have. */
const resolved = (scheduling: Scheduling): Scheduling =>
  scheduling.weights === undefined ? scheduling : { ...scheduling, weights: undefined }
