import type { Capabilities } from '../backends/backend.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Problem } from '../model/problem.ts'
import type { Service } from '../model/service.ts'
import type { Tracker } from '../track/tracker.ts'

type Lack = Pick<Problem, 'field' | 'reason'>

export interface CapabilityReportOptions {
  readonly capabilities: Capabilities
  /** As messages name it. */
  readonly backend: string
  /** What it uses where a Service asks for no scheduler, or for one that it lacks. */
  readonly defaultScheduler: string
  readonly report: (problem: Problem) => void
}

/** Says once per Service and choice what it asks for and its backend lacks. */
export class CapabilityReports {
  readonly #reported = new Map<ServiceKey, readonly string[]>()
  readonly #options: CapabilityReportOptions

  constructor(options: CapabilityReportOptions) {
    this.#options = options
  }

  check(key: ServiceKey, tracker: Tracker): void {
    const service = tracker.service(key)
    const lacks = service === undefined ? [] : this.#lacksOf(service)
    if (service === undefined || lacks.length === 0) {
      this.#reported.delete(key)
      return
    }
    const before = this.#reported.get(key) ?? []
    this.#reported.set(
      key,
      lacks.map(({ reason }) => reason),
    )
    const object = { kind: 'Service', namespace: service.namespace, name: service.name }
    for (const lack of lacks) if (!before.includes(lack.reason)) this.#options.report({ object, ...lack })
  }

  #lacksOf({ scheduling, connections, ports }: Service): readonly Lack[] {
    const { capabilities, backend, defaultScheduler } = this.#options
    const { schedulers, sctp, connectionOptions } = capabilities
    const lacks: Lack[] = []
    const annotation = (name: string): string => `metadata.annotations[weir.dev/${name}]`
    const { scheduler } = scheduling
    if (scheduler !== undefined && !schedulers.has(scheduler))
      lacks.push({
        field: annotation('scheduler'),
        reason: `the ${backend} backend cannot do "${scheduler}", so "${defaultScheduler}" is used`,
      })
    if (connections.proxyProtocol && connectionOptions !== true)
      lacks.push({
        field: annotation('proxy-protocol'),
        reason: `the ${backend} backend cannot send PROXY protocol headers, so endpoints get none`,
      })
    if (connections.maxConnections !== undefined && connectionOptions !== true)
      lacks.push({
        field: annotation('max-connections'),
        reason: `the ${backend} backend cannot limit connections, so there is no limit`,
      })
    if (connections.forwarding !== 'masquerade' && capabilities.forwarding !== true)
      lacks.push({
        field: annotation('forwarding'),
        reason: `the ${backend} backend cannot forward by "${connections.forwarding}", so "masquerade" is used`,
      })
    if (!sctp && ports.some(({ protocol }) => protocol === 'SCTP'))
      lacks.push({
        field: 'spec.ports',
        reason: `the ${backend} backend cannot do SCTP, so ports of that protocol are not served`,
      })
    return lacks
  }
}
