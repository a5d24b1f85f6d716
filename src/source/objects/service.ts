import { serviceKey } from '../../model/names.ts'
import { type Port, parsePort } from '../../model/port.ts'
import type { Service, TrafficPolicy } from '../../model/service.ts'
import { type ConnectionAnnotation, readConnections } from './connections.ts'
import { type Fields, fields, isUnset, quote } from './fields.ts'
import { readAnnotations, readLabels, readMetadata, readTime, refOf } from './metadata.ts'
import type { Parsed } from './parsed.ts'
import { Place } from './place.ts'
import { readScheduling, type SchedulingAnnotation } from './scheduling.ts'
import { readExternalIPs, readLoadBalancerIPs, readSourceRanges } from './service-addresses.ts'
import { isHeadless, readClusterIPs } from './service-cluster-ips.ts'
import { readServicePorts } from './service-ports.ts'

export interface ServiceOptions {
  /** Only Services with this value of the label are ours; undefined = only those without the label. */
  readonly proxyName: string | undefined
  /** kube-proxy's gate AllowServiceExternalIPs. */
  readonly allowExternalIPs: boolean
}

export const proxyNameLabel = 'service.kubernetes.io/service-proxy-name'

export type ServiceSpecField =
  | 'type'
  | 'clusterIP'
  | 'clusterIPs'
  | 'ipFamilies'
  | 'ports'
  | 'externalIPs'
  | 'loadBalancerSourceRanges'
  | 'internalTrafficPolicy'
  | 'externalTrafficPolicy'
  | 'sessionAffinity'
  | 'sessionAffinityConfig'
  | 'healthCheckNodePort'

type ServiceSpec = Fields<ServiceSpecField>

const serviceTypes = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const
type ServiceType = (typeof serviceTypes)[number]

const policies = ['Cluster', 'Local'] as const satisfies readonly TrafficPolicy[]

/** A core/v1 Service. Headless and ExternalName Services and those of another proxy have no value, and no problem. */
export const parseService = (json: unknown, options: ServiceOptions): Parsed<Service> => {
  const root = new Place(refOf('Service', json, true))
  return { value: readService(root, json, options), problems: root.problems }
}

const readService = (root: Place, json: unknown, options: ServiceOptions): Service | undefined => {
  const metadata = readMetadata(root, json, true)
  if (metadata === undefined) return undefined
  const labels = readLabels<typeof proxyNameLabel>(root, metadata)
  if ((labels?.[proxyNameLabel] ?? undefined) !== options.proxyName) return undefined
  const object = fields<'spec' | 'status'>(json)
  const spec = fields<ServiceSpecField>(object?.spec)
  if (spec === undefined) {
    root.problem('spec', 'is missing or not an object, so the Service is skipped')
    return undefined
  }
  if (isHeadless(spec)) return undefined
  const place = root.at('spec')
  const type = place.choice('type', spec.type, serviceTypes, 'ClusterIP')
  if (type === 'ExternalName') return undefined
  const externalPolicy = readExternalPolicy(place, spec, type)
  const annotations = readAnnotations<SchedulingAnnotation | ConnectionAnnotation>(root, metadata)
  return {
    key: serviceKey(metadata.namespace, metadata.name),
    namespace: metadata.namespace,
    name: metadata.name,
    uid: root.text('metadata.uid', metadata.raw.uid) ?? '',
    created: readTime(root, 'metadata.creationTimestamp', metadata.raw.creationTimestamp) ?? 0,
    clusterIPs: readClusterIPs(place, spec),
    externalIPs: readExternalIPs(place, spec.externalIPs, options.allowExternalIPs),
    loadBalancerIPs: readLoadBalancerIPs(root, object?.status),
    sourceRanges: readSourceRanges(place, spec.loadBalancerSourceRanges),
    ports: readServicePorts(root, spec.ports),
    internalPolicy: place.choice('internalTrafficPolicy', spec.internalTrafficPolicy, policies, 'Cluster'),
    externalPolicy,
    affinitySeconds: readAffinity(place, spec),
    healthCheckNodePort:
      type === 'LoadBalancer' && externalPolicy === 'Local'
        ? readHealthPort(place, spec.healthCheckNodePort)
        : undefined,
    scheduling: readScheduling(root, annotations),
    connections: readConnections(root, annotations),
  }
}

/** Counts only where the API lets it be set: the other Services have no external traffic to speak of. */
const readExternalPolicy = (place: Place, spec: ServiceSpec, type: ServiceType): TrafficPolicy => {
  const policy = place.choice('externalTrafficPolicy', spec.externalTrafficPolicy, policies, 'Cluster')
  if (type !== 'ClusterIP') return policy
  return Array.isArray(spec.externalIPs) && spec.externalIPs.length > 0 ? policy : 'Cluster'
}

const defaultAffinitySeconds = 10_800
const maxAffinitySeconds = 86_400

const readAffinity = (place: Place, spec: ServiceSpec): number | undefined => {
  if (place.choice('sessionAffinity', spec.sessionAffinity, ['None', 'ClientIP'], 'None') === 'None') return undefined
  const config = place.map<'clientIP'>('sessionAffinityConfig', spec.sessionAffinityConfig)
  const client = place.map<'timeoutSeconds'>('sessionAffinityConfig.clientIP', config?.clientIP)
  const seconds = client?.timeoutSeconds
  if (isUnset(seconds)) return defaultAffinitySeconds
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 && seconds <= maxAffinitySeconds)
    return seconds
  place.problem(
    'sessionAffinityConfig.clientIP.timeoutSeconds',
    `${quote(seconds)} is not a number of seconds from 1 to ${maxAffinitySeconds}, so ${defaultAffinitySeconds} is used`,
  )
  return defaultAffinitySeconds
}

const readHealthPort = (place: Place, value: unknown): Port | undefined => {
  if (isUnset(value) || value === 0) return undefined
  const port = parsePort(value)
  if (port === undefined)
    place.problem(
      'healthCheckNodePort',
      `${quote(value)} is not a port (1 to 65535), so no health check is served for the Service`,
    )
  return port
}
