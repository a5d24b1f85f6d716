import type { ServiceKey } from '../model/names.ts'
import type { Dirty } from '../track/pending.ts'
import type { SyncRequest } from './family.ts'

/** A family that is not served for hours must not collect times without end; the oldest say most about latency. */
const maxTriggers = 4096

/** What one family has yet to write. */
export class Waiting implements SyncRequest {
  readonly services = new Set<ServiceKey>()
  /** last-change-trigger-times of the endpoint changes among them, milliseconds since the epoch. */
  readonly triggers: number[] = []
  hostChanged = false
  allServices = false

  get empty(): boolean {
    return this.services.size === 0 && !this.hostChanged && !this.allServices
  }

  /** This and what is new. */
  with(dirty: Dirty | undefined, hostChanged: boolean): Waiting {
    const both = new Waiting()
    both.hostChanged = this.hostChanged || hostChanged || (dirty?.hostChanged ?? false)
    both.allServices = this.allServices || (dirty?.allServices ?? false)
    for (const services of [this.services, dirty?.services ?? []]) for (const key of services) both.services.add(key)
    for (const times of [this.triggers, ...(dirty?.triggeredAt.values() ?? [])])
      for (const time of times) if (both.triggers.length < maxTriggers) both.triggers.push(time)
    return both
  }
}
