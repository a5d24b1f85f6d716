import type { NodePortAddresses } from '../../model/host.ts'
import { type Family, isFamily } from '../../model/ip.ts'
import type { SyncEvents, SyncObserver } from '../../sync/events.ts'
import type { Clock } from '../clock.ts'
import { FamilyHealthPorts, type HealthPortHooks } from './family-health-ports.ts'
import { serviceHealthReply } from './service-health-reply.ts'

export interface ServiceHealthOptions {
  readonly clock: Clock
  /** Where each family listens, as found at start: either every address, or the node's NodePort addresses. */
  readonly addresses: Readonly<Record<Family, NodePortAddresses>>
  readonly isProxyHealthy: () => boolean
  /** A Service's port cannot be opened: one call, not one per attempt. */
  readonly problem: (event: SyncEvents['problem']) => void
  readonly onError: (error: unknown) => void
  /** Milliseconds until a port that could not be opened is tried again on its own. */
  readonly retryMs?: number
}

/**
 * Answers the health checks of load balancers on the healthCheckNodePorts of Services. The two families are
 * independent: each has its own listeners and counts its own endpoints.
 */
export class ServiceHealthServers implements Partial<SyncObserver> {
  readonly #ports: Readonly<Record<Family, FamilyHealthPorts>>

  constructor({ clock, addresses, isProxyHealthy, problem, onError, retryMs = 5_000 }: ServiceHealthOptions) {
    const hooks: HealthPortHooks = {
      answer: (check) => serviceHealthReply(check, isProxyHealthy()),
      failed: ({ namespace, name }, error) =>
        problem({
          problem: {
            object: { kind: 'Service', namespace, name },
            field: 'spec.healthCheckNodePort',
            reason: `cannot ${error.op} (${error.code}): health checks fail until it can, and it is tried again`,
          },
          source: 'healthCheck',
        }),
      onError,
    }
    const portsOf = (family: Family): FamilyHealthPorts =>
      new FamilyHealthPorts(listenHosts(family, addresses[family]), hooks, clock, retryMs)
    this.#ports = { IPv4: portsOf('IPv4'), IPv6: portsOf('IPv6') }
  }

  /** Services whose port is open, by family. */
  get open(): Readonly<Record<Family, number>> {
    return { IPv4: this.#ports.IPv4.open, IPv6: this.#ports.IPv6.open }
  }

  healthChecks({ family, changed }: SyncEvents['healthChecks']): void {
    this.#ports[family].set(changed)
  }

  applied({ family }: SyncEvents['applied']): void {
    this.#ports[family].retry()
  }

  /** Resolves when nothing is being opened or closed. */
  async settled(): Promise<void> {
    await Promise.all([this.#ports.IPv4.settled(), this.#ports.IPv6.settled()])
  }

  /** Closes every port and connection, for good. */
  async close(): Promise<void> {
    await Promise.all([this.#ports.IPv4.close(), this.#ports.IPv6.close()])
  }
}

const listenHosts = (family: Family, addresses: NodePortAddresses): readonly string[] => {
  if (addresses.kind === 'all') return [family === 'IPv4' ? '0.0.0.0' : '::']
  return addresses.addresses.filter((ip) => isFamily(ip, family))
}
