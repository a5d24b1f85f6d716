import type { VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import type { Laid } from './plan.ts'
import type { Lack, PortProblems } from './problem-reports.ts'
import type { WantedServer } from './server-diff.ts'
import type { IpvsSettings } from './settings.ts'
import { withScheduler } from './stand-in.ts'

/** Schedulers that this kernel has turned out to lack, and the default that stands in for them. */
export class LackingSchedulers {
  readonly #default: IpvsSettings['scheduler']
  readonly #names = new Set<string>()

  constructor({ scheduler }: Pick<IpvsSettings, 'scheduler'>) {
    this.#default = scheduler
  }

  add(names: Iterable<string>): void {
    for (const name of names) this.#names.add(name)
  }

  /** Virtual servers of the kernel: whatever has a scheduler proves that it is there. */
  found(servers: Iterable<{ readonly server: VirtualServer }>): void {
    for (const { server } of servers) this.#names.delete(server.scheduler)
  }

  withDefault(server: VirtualServer): VirtualServer {
    return withScheduler(server, this.#default)
  }

  asAvailable(wanted: WantedServer): WantedServer {
    return this.#names.has(wanted.server.scheduler) ? { ...wanted, server: this.withDefault(wanted.server) } : wanted
  }

  /** With those of the layout, what is the matter with a service port. */
  problemsOf({ state, layout }: Laid): PortProblems {
    const { id, service, scheduling } = state
    return { id, service, problems: [...layout.problems, ...this.#lacksOf(scheduling.scheduler)] }
  }

  #lacksOf(scheduler: string): readonly Lack[] {
    if (!this.#names.has(scheduler)) return []
    const reason = `this kernel has no scheduler "${scheduler}" (module ip_vs_${scheduler}), so "${this.#default}" is used`
    return [{ field: 'metadata.annotations[weir.dev/scheduler]', reason }]
  }
}
