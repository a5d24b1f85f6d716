import type { Endpoint, EndpointPort, EndpointSlice } from '../../model/endpoint-slice.ts'
import type { Family } from '../../model/ip.ts'
import { serviceKey, sliceKey } from '../../model/names.ts'
import { parsePort } from '../../model/port.ts'
import { readEndpoint } from './endpoint.ts'
import { fields, isUnset, quote } from './fields.ts'
import { type Metadata, readAnnotations, readLabels, readMetadata, readTime, refOf } from './metadata.ts'
import type { Parsed } from './parsed.ts'
import { Place } from './place.ts'
import { Repeats } from './repeats.ts'
import { readPortName, readProtocol } from './service-ports.ts'
import { isDnsName } from './strings.ts'

const serviceNameLabel = 'kubernetes.io/service-name'
const headlessLabel = 'service.kubernetes.io/headless'
const triggerTimeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time'

export interface EndpointSliceOptions {
  /**
   * A port without a name: an API server writes '' for it, so a manifest may leave it out; an object that the API server
   * served without one is broken, and kube-proxy ignores the port.
   */
  readonly namelessPorts: 'skip' | 'accept'
}

/** A discovery.k8s.io/v1 EndpointSlice. Slices of headless Services and of no Service have no value, and no problem. */
export const parseEndpointSlice = (
  json: unknown,
  options: EndpointSliceOptions = { namelessPorts: 'skip' },
): Parsed<EndpointSlice> => {
  const root = new Place(refOf('EndpointSlice', json, true))
  return { value: readSlice(root, json, options), problems: root.problems }
}

const readSlice = (root: Place, json: unknown, options: EndpointSliceOptions): EndpointSlice | undefined => {
  const metadata = readMetadata(root, json, true)
  if (metadata === undefined) return undefined
  const service = readServiceName(root, metadata)
  if (service === undefined) return undefined
  const object = fields<'addressType' | 'ports' | 'endpoints'>(json)
  const family = readFamily(root, object?.addressType)
  if (family === undefined) return undefined
  return {
    key: sliceKey(metadata.namespace, metadata.name),
    service: serviceKey(metadata.namespace, service),
    family,
    ports: readPorts(root, object?.ports, options),
    endpoints: readEndpoints(root, object?.endpoints, family),
    triggeredAt: readTriggerTime(root, metadata),
  }
}

const readServiceName = (root: Place, metadata: Metadata): string | undefined => {
  const labels = readLabels<typeof serviceNameLabel | typeof headlessLabel>(root, metadata)
  if (labels === undefined || !isUnset(labels[headlessLabel])) return undefined
  const field = `metadata.labels[${serviceNameLabel}]`
  const name = root.text(field, labels[serviceNameLabel])
  if (name === undefined || name === '') return undefined
  if (isDnsName(name)) return name
  root.problem(field, `${quote(name)} is not a DNS name, so the EndpointSlice is skipped`)
  return undefined
}

const readFamily = (root: Place, value: unknown): Family | undefined => {
  if (value === 'IPv4' || value === 'IPv6') return value
  const what = isUnset(value) ? 'is missing' : `${quote(value)} is neither IPv4 nor IPv6`
  root.problem('addressType', `${what}, so the EndpointSlice is skipped`)
  return undefined
}

const readTriggerTime = (root: Place, metadata: Metadata): number | undefined => {
  const written = readAnnotations<typeof triggerTimeAnnotation>(root, metadata)?.[triggerTimeAnnotation]
  return readTime(root, `metadata.annotations[${triggerTimeAnnotation}]`, written)
}

const readPorts = (root: Place, value: unknown, options: EndpointSliceOptions): readonly EndpointPort[] => {
  const ports: EndpointPort[] = []
  root.list('ports', value).forEach((item, i) => {
    const place = root.item('ports', i)
    const raw = fields<'name' | 'protocol' | 'port'>(item)
    if (raw === undefined) place.problem('', `${quote(item)} is not an object, so the port is skipped`)
    else if (isUnset(raw.name) && options.namelessPorts === 'skip')
      place.problem('name', 'is missing ("" would be the port without a name), so the port is skipped')
    else {
      const name = readPortName(place, raw.name)
      const protocol = readProtocol(place, raw.protocol)
      const port = parsePort(raw.port)
      if (port === undefined) {
        const what = isUnset(raw.port) ? 'is missing' : `${quote(raw.port)} is not a port (1 to 65535)`
        place.problem('port', `${what}, so the port is skipped`)
      } else if (name !== undefined && protocol !== undefined) ports.push({ name, protocol, port })
    }
  })
  return ports
}

const readEndpoints = (root: Place, value: unknown, family: Family): readonly Endpoint[] => {
  const list = root.list('endpoints', value)
  const endpoints: Endpoint[] = []
  const repeats = new Repeats(list.length)
  for (let i = 0; i < list.length; i++) {
    const endpoint = readEndpoint(root.item('endpoints', i), list[i], family)
    if (endpoint !== undefined && !repeats.has(endpoints, endpoint, i)) endpoints.push(endpoint)
  }
  repeats.report(root)
  return endpoints
}
