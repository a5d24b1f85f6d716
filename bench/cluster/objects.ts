import type { ModelChange } from '../../src/model/change.ts'
import { parseEndpointSlice } from '../../src/source/objects/endpoint-slice.ts'
import { parseNode, parseServiceCidr } from '../../src/source/objects/node.ts'
import type { Parsed } from '../../src/source/objects/parsed.ts'
import { parseService } from '../../src/source/objects/service.ts'
import type { Manifest } from '../../test/apiserver/resources.ts'
import { type ClusterSpec, synthesize } from './cluster.ts'
import { nodeManifest, serviceCidrManifest, serviceManifest, sliceManifest } from './manifests.ts'

const serviceOptions = { proxyName: undefined, allowExternalIPs: true } as const

/** What parsing made of an object that must be valid. */
const sound = <T>({ value, problems }: Parsed<T>): T => {
  const [problem] = problems
  if (problem !== undefined) throw new Error(`${problem.object.name}: ${problem.field} ${problem.reason}`)
  if (value === undefined) throw new Error('an object of the synthetic cluster means nothing to a proxy')
  return value
}

/** Through JSON text: strings and objects are then made as they are in production, not shared or lazily joined. */
const wire = (manifest: Manifest): unknown => JSON.parse(JSON.stringify(manifest))

export const serviceChange = (json: unknown): ModelChange => {
  const value = sound(parseService(json, serviceOptions))
  return { kind: 'service', key: value.key, value }
}

export const sliceChange = (json: unknown): ModelChange => {
  const value = sound(parseEndpointSlice(json))
  return { kind: 'slice', key: value.key, value }
}

/** Every object that a proxy on our node would be sent, parsed; the JSON is not kept. */
export const clusterObjects = (spec: ClusterSpec): readonly ModelChange[] => {
  const cidr = sound(parseServiceCidr(wire(serviceCidrManifest())))
  const changes: ModelChange[] = [
    { kind: 'node', value: sound(parseNode(wire(nodeManifest()))) },
    { kind: 'serviceCidr', name: cidr.name, value: cidr },
  ]
  for (const service of synthesize(spec)) {
    changes.push(serviceChange(wire(serviceManifest(service))))
    changes.push(sliceChange(wire(sliceManifest(service, service.members))))
  }
  return changes
}
