import type { Scheduler as SchedulerName } from '../model/scheduling.ts'
import { dh } from './dh.ts'
import { fo } from './fo.ts'
import { lblc } from './lblc.ts'
import { lblcr } from './lblcr.ts'
import { lc } from './lc.ts'
import { mh } from './mh.ts'
import { nq } from './nq.ts'
import { ovf } from './ovf.ts'
import type { Packet } from './packet.ts'
import { random } from './random.ts'
import type { RandomBelow } from './random-source.ts'
import { rr } from './rr.ts'
import type { Bind, Discipline, Scheduler, SchedulerOptions } from './scheduler.ts'
import { sed } from './sed.ts'
import { checkInt, type Server } from './server.ts'
import { ServerList } from './server-list.ts'
import { sh } from './sh.ts'
import { twos } from './twos.ts'
import { wlc } from './wlc.ts'
import { wrr } from './wrr.ts'

const disciplines = {
  random,
  rr,
  wrr,
  lc,
  wlc,
  lblc,
  lblcr,
  sh,
  dh,
  sed,
  nq,
  fo,
  ovf,
  mh,
  twos,
} as const satisfies Record<SchedulerName, Bind>

/** What scheduler `Name` must be given: random and twos a source of random numbers, lblc and lblcr a clock. */
export type OptionsFor<Name extends SchedulerName> = SchedulerOptions &
  ([Extract<Name, 'random' | 'twos'>] extends [never] ? unknown : { readonly random: RandomBelow }) &
  ([Extract<Name, 'lblc' | 'lblcr'>] extends [never] ? unknown : { readonly now: () => number })

/**
 * A service with the scheduler of that name bound to it. Servers given here are in list order and were there before the
 * scheduler, which matters to wrr: a service that is filled with `add` starts its first round elsewhere.
 *
 * @throws SchedulerError `out-of-range` for a size that no kernel has, `too-many-servers` for a Maglev table, `exists` for a
 * server given twice, `no-source` when a source is missing that the types ask for
 */
export function createScheduler<Name extends SchedulerName>(
  name: Name,
  ...options: object extends OptionsFor<Name> ? [options?: OptionsFor<Name>] : [options: OptionsFor<Name>]
): Scheduler
export function createScheduler(name: SchedulerName, options: SchedulerOptions = {}): Scheduler {
  return new BoundScheduler(name, options)
}

class BoundScheduler implements Scheduler {
  readonly name: SchedulerName
  readonly #list: ServerList
  readonly #discipline: Discipline

  constructor(name: SchedulerName, options: SchedulerOptions) {
    this.name = name
    this.#list = new ServerList(options.servers ?? [])
    this.#discipline = disciplines[name](this.#list, options)
  }

  get servers(): readonly Server[] {
    return this.#list.items
  }

  pick(packet: Packet): Server | undefined {
    return this.#discipline.pick(packet)
  }

  add(server: Server): void {
    checkInt('weight', server.weight)
    this.#list.link(server)
    server.lastWeight = server.weight
    this.#discipline.added?.()
  }

  update(server: Server): void {
    checkInt('weight', server.weight)
    this.#list.require(server, 'update')
    if (server.weight !== 0) server.lastWeight = server.weight
    this.#discipline.updated?.()
  }

  remove(server: Server): void {
    const index = this.#list.unlink(server)
    this.#discipline.removed?.(index)
  }

  tick(): void {
    this.#discipline.tick?.()
  }
}
