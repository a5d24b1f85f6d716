import type { DesiredContext } from '../desired/context.ts'
import { type HealthCheck, healthCheck } from '../desired/health-checks.ts'
import { type HostSettings, hostState } from '../desired/host-state.ts'
import { nodeIPs } from '../desired/node-ips.ts'
import { desiredStates } from '../desired/service-states.ts'
import type { ServiceState } from '../model/desired.ts'
import type { HostState } from '../model/host.ts'
import type { Family, IP } from '../model/ip.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Scheduler } from '../model/scheduling.ts'
import type { Tracker } from '../track/tracker.ts'
import type { DesiredSource } from './family.ts'

export interface TrackedDesiredOptions {
  readonly tracker: Tracker
  readonly settings: HostSettings
  readonly nodeName: string
  readonly supportedSchedulers: ReadonlySet<Scheduler>
  /** Every address of the node's interfaces at this moment. */
  readonly interfaceAddresses: () => Iterable<IP>
}

/** Desired state, computed from the tracker's latest objects whenever it is asked for. */
export class TrackedDesired implements DesiredSource {
  readonly #options: TrackedDesiredOptions

  constructor(options: TrackedDesiredOptions) {
    this.#options = options
  }

  host(family: Family): HostState {
    const { tracker, settings, interfaceAddresses } = this.#options
    const facts = {
      node: tracker.lastNode(),
      interfaceAddresses: interfaceAddresses(),
      serviceCidrs: tracker.serviceCidrs(),
    }
    return hostState(settings, facts, family)
  }

  states(family: Family, key: ServiceKey): readonly ServiceState[] {
    const { tracker } = this.#options
    const service = tracker.service(key)
    return service === undefined ? [] : desiredStates(service, tracker.slicesOf(key), this.#context(family))
  }

  healthCheck(family: Family, key: ServiceKey): HealthCheck | undefined {
    const { tracker } = this.#options
    const service = tracker.service(key)
    return service === undefined ? undefined : healthCheck(service, tracker.slicesOf(key), this.#context(family))
  }

  *keys(): Generator<ServiceKey> {
    for (const { key } of this.#options.tracker.services()) yield key
  }

  #context(family: Family): DesiredContext {
    const { tracker, settings, nodeName, supportedSchedulers } = this.#options
    const node = tracker.lastNode()
    return {
      family,
      nodeName,
      zone: node?.zone,
      nodeIP: nodeIPs(settings.bindAddress, node)[family],
      owns: this.#owns,
      supportedSchedulers,
    }
  }

  readonly #owns: DesiredContext['owns'] = (claim) => this.#options.tracker.owns(claim)
}
