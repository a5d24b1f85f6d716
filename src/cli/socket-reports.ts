import type { Logger } from 'pino'
import type { Socket } from '../backends/userspace/forwarding.ts'
import type { Reach } from '../backends/userspace/settings.ts'
import type { ServiceState } from '../model/desired.ts'
import type { Problem } from '../model/problem.ts'

/**
 * One problem for each socket that cannot be had, and, where clients have to know the sockets, a line for each address at
 * which a service port is found.
 */
export const socketReports = (
  reach: Reach['kind'],
  problem: (problem: Problem) => void,
  logger: Pick<Logger, 'info'>,
): ((state: ServiceState, socket: Socket) => void) => {
  const told = new Map<string, string>()
  const troubled = new Set<string>()
  return (state, { spec, state: { port, error } }) => {
    if (error !== undefined) {
      troubled.add(spec.id)
      problem(portProblem(state, `${error.message}; tried again every few seconds`))
      return
    }
    if (port === undefined) return
    const address = spec.address.includes(':') ? `[${spec.address}]:${port}` : `${spec.address}:${port}`
    const recovered = troubled.delete(spec.id)
    if (reach === 'redirect' && !recovered) return
    if (told.get(spec.id) === address && !recovered) return
    told.set(spec.id, address)
    logger.info({ servicePort: state.id, for: frontOf(state, spec), address }, 'A service port is served')
  }
}

/** What the socket stands for: the cluster IP or the NodePort. */
const frontOf = (state: ServiceState, { frontend, port }: Socket['spec']): string => {
  if (frontend === undefined) return `NodePort ${port}`
  const { ip } = frontend
  return ip.includes(':') ? `[${ip}]:${state.port}` : `${ip}:${state.port}`
}

const portProblem = ({ service, name, protocol }: ServiceState, reason: string): Problem => {
  const [namespace, serviceName = service] = service.split('/')
  const portName = name.includes(':') ? name.slice(name.indexOf(':') + 1) : ''
  return {
    object: { kind: 'Service', namespace, name: serviceName },
    field: 'spec.ports',
    reason: `port ${portName === '' ? '' : `${portName} `}(${protocol}): ${reason}`,
  }
}
