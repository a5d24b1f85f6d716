import type { Capabilities } from '../backends/backend.ts'
import type { ServiceKey } from '../model/names.ts'
import type { Problem } from '../model/problem.ts'
import type { Service } from '../model/service.ts'
import type { Tracker } from '../track/tracker.ts'

type Lack = Pick<Problem, 'field' | 'reason'>

/** Says once per Service and choice what it asks for and its backend lacks. */
export class CapabilityReports {
  readonly #reported = new Map<ServiceKey, readonly string[]>()
  readonly #capabilities: Capabilities
  readonly #backend: string
  readonly #report: (problem: Problem) => void

  constructor(capabilities: Capabilities, backend: string, report: (problem: Problem) => void) {
    this.#capabilities = capabilities
    this.#backend = backend
    this.#report = report
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
    for (const lack of lacks) if (!before.includes(lack.reason)) this.#report({ object, ...lack })
  }

  #lacksOf({ scheduling, connections, ports }: Service): readonly Lack[] {
    const { schedulers, sctp, connectionOptions } = this.#capabilities
    const lacks: Lack[] = []
    const annotation = (name: string): string => `metadata.annotations[weir.dev/${name}]`
    const { scheduler } = scheduling
    if (!schedulers.has(scheduler))
      lacks.push({
        field: annotation('scheduler'),
        reason: `the ${this.#backend} backend cannot do "${scheduler}", so "random" is used`,
      })
    if (connections.proxyProtocol && connectionOptions !== true)
      lacks.push({
        field: annotation('proxy-protocol'),
        reason: `the ${this.#backend} backend cannot send PROXY protocol headers, so endpoints get none`,
      })
    if (connections.maxConnections !== undefined && connectionOptions !== true)
      lacks.push({
        field: annotation('max-connections'),
        reason: `the ${this.#backend} backend cannot limit connections, so there is no limit`,
      })
    if (!sctp && ports.some(({ protocol }) => protocol === 'SCTP'))
      lacks.push({
        field: 'spec.ports',
        reason: `the ${this.#backend} backend cannot do SCTP, so ports of that protocol are not served`,
      })
    return lacks
  }
}
