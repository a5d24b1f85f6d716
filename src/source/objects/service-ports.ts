import { type Port, parsePort } from '../../model/port.ts'
import { isProtocol, type Protocol } from '../../model/protocol.ts'
import type { ServicePort } from '../../model/service.ts'
import { type Fields, fields, isUnset, quote } from './fields.ts'
import type { Place } from './place.ts'
import { intern, isDnsName } from './strings.ts'

type PortField = 'name' | 'protocol' | 'port' | 'nodePort'

/** `spec.ports`. A port that cannot be used is left out, and so is one that an earlier port of the Service already is. */
export const readServicePorts = (root: Place, value: unknown): readonly ServicePort[] => {
  const list = root.list('spec.ports', value)
  if (list.length === 0 && (isUnset(value) || Array.isArray(value)))
    root.problem('spec.ports', 'is empty, so the Service takes no traffic')
  const ports: ServicePort[] = []
  for (let i = 0; i < list.length; i++) {
    const place = root.item('spec.ports', i)
    const port = readPort(place, fields<PortField>(list[i]))
    if (port !== undefined && isNew(place, ports, port)) ports.push(withOwnNodePort(place, ports, port))
  }
  return ports
}

const readPort = (place: Place, raw: Fields<PortField> | undefined): ServicePort | undefined => {
  if (raw === undefined) {
    place.problem('', 'is not an object, so the port is skipped')
    return undefined
  }
  const name = readPortName(place, raw.name)
  const protocol = readProtocol(place, raw.protocol)
  const port = parsePort(raw.port)
  if (port === undefined) place.problem('port', `${quote(raw.port)} is not a port (1 to 65535), so the port is skipped`)
  if (name === undefined || protocol === undefined || port === undefined) return undefined
  return { name, protocol, port, nodePort: readNodePort(place, raw.nodePort) }
}

/** '' when the port has no name. */
export const readPortName = (place: Place, value: unknown): string | undefined => {
  if (isUnset(value) || value === '') return ''
  if (typeof value === 'string' && isDnsName(value)) return intern(value)
  place.problem('name', `${quote(value)} is not a DNS name, so the port is skipped`)
  return undefined
}

/** TCP where nothing is said. */
export const readProtocol = (place: Place, value: unknown): Protocol | undefined => {
  if (isProtocol(value)) return value
  if (isUnset(value) || value === '') return 'TCP'
  place.problem('protocol', `${quote(value)} is not one of TCP, UDP, SCTP, so the port is skipped`)
  return undefined
}

const readNodePort = (place: Place, value: unknown): Port | undefined => {
  if (isUnset(value) || value === 0) return undefined
  const port = parsePort(value)
  if (port === undefined)
    place.problem('nodePort', `${quote(value)} is not a port (1 to 65535), so the port has no node port`)
  return port
}

const isNew = (place: Place, ports: readonly ServicePort[], port: ServicePort): boolean => {
  for (const other of ports) {
    if (other.protocol !== port.protocol) continue
    if (other.port === port.port) {
      place.problem('port', `${port.protocol} ${port.port} is already taken by an earlier port, so this one is skipped`)
      return false
    }
    if (other.name === port.name) {
      place.problem(
        'name',
        `${quote(port.name)} already names an earlier ${port.protocol} port, so this one is skipped`,
      )
      return false
    }
  }
  return true
}

const withOwnNodePort = (place: Place, ports: readonly ServicePort[], port: ServicePort): ServicePort => {
  const { name, protocol, nodePort } = port
  if (nodePort === undefined) return port
  if (!ports.some((other) => other.protocol === protocol && other.nodePort === nodePort)) return port
  place.problem('nodePort', `${protocol} ${nodePort} is already taken by an earlier port, so this one has no node port`)
  return { name, protocol, port: port.port, nodePort: undefined }
}
