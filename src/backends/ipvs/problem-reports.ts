import type { Family } from '../../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import type { Problem } from '../../model/problem.ts'

export type Lack = Pick<Problem, 'field' | 'reason'>

/** Of one service port in one family. */
export interface PortProblems {
  readonly id: ServicePortId
  readonly service: ServiceKey
  readonly problems: readonly Lack[]
}

/**
 * Tells each problem of a Service once, however many of its ports and families have it, and again when it comes back after
 * it was gone from all of them. The backends of both families share one.
 */
export class ProblemReports {
  readonly #report: (problem: Problem) => void
  /** By family and service port, of those that have any. */
  readonly #services = new Map<ServiceKey, Map<string, readonly Lack[]>>()
  readonly #owners = new Map<string, ServiceKey>()

  constructor(report: (problem: Problem) => void) {
    this.#report = report
  }

  /** What a service port has now. */
  update(family: Family, { id, service, problems }: PortProblems): void {
    this.#set(`${family} ${id}`, service, problems)
  }

  /** The service port is gone. */
  forget(family: Family, id: ServicePortId): void {
    const key = `${family} ${id}`
    const service = this.#owners.get(key)
    if (service !== undefined) this.#set(key, service, [])
  }

  /** These service ports, and no others of the family. */
  replace(family: Family, ports: readonly PortProblems[]): void {
    const present = new Set(ports.map(({ id }) => `${family} ${id}`))
    for (const [key, service] of this.#owners)
      if (key.startsWith(`${family} `) && !present.has(key)) this.#set(key, service, [])
    for (const port of ports) this.update(family, port)
  }

  #set(key: string, service: ServiceKey, problems: readonly Lack[]): void {
    const byPort = this.#services.get(service) ?? new Map<string, readonly Lack[]>()
    if (problems.length === 0 && !byPort.has(key)) return
    const before = new Set([...byPort.values()].flat().map(text))
    if (problems.length === 0) {
      byPort.delete(key)
      this.#owners.delete(key)
    } else {
      byPort.set(key, problems)
      this.#owners.set(key, service)
    }
    if (byPort.size === 0) this.#services.delete(service)
    else this.#services.set(service, byPort)
    const [namespace, name = service] = service.split('/')
    for (const lack of problems) {
      if (before.has(text(lack))) continue
      before.add(text(lack))
      this.#report({ object: { kind: 'Service', namespace, name }, ...lack })
    }
  }

  /** What is no Service's. */
  tell(problem: Problem): void {
    this.#report(problem)
  }
}

const text = ({ field, reason }: Lack): string => `${field} ${reason}`
