import type { RulesetWatch } from '../../kernel/iptables/ruleset-watch.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import type { LinkLoss } from '../../kernel/route/interface-address.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { FlowEnd } from '../../model/flow.ts'
import type { HostState } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import type { ServiceKey, ServicePortId } from '../../model/names.ts'
import { schedulers } from '../../model/scheduling.ts'
import type { Backend, Capabilities, Change, FlowTargets, Observed, Support } from '../backend.ts'
import { SetStore } from '../rules/set-store.ts'
import { type WriterParts, writePlan } from './apply.ts'
import { absorb, newcomersOf } from './belief.ts'
import { claimsOf } from './claims.ts'
import { conntrackTargets } from './conntrack-targets.ts'
import { countAll } from './counts.ts'
import { DeviceLoss } from './device-loss.ts'
import { checkDrains } from './drain-check.ts'
import { DrainLedger } from './drain-ledger.ts'
import { IpvsBackendError, rejected } from './error.ts'
import { LackingSchedulers } from './lacking-schedulers.ts'
import { asObservedIpvs, type IpvsKernel, type ObservedIpvs, observeIpvs } from './observe.ts'
import { Periodic, type Timers } from './periodic.ts'
import type { Belief, IpvsPlan, Laid } from './plan.ts'
import { planDelta } from './plan-delta.ts'
import { type PlanContext, planFull } from './plan-full.ts'
import type { PortProblems, ProblemReports } from './problem-reports.ts'
import { removeIpvs } from './remove.ts'
import { setSchema } from './schema.ts'
import { Serial } from './serial.ts'
import { type SetRole, setName } from './sets.ts'
import { type IpvsSettings, ipvsDevice } from './settings.ts'
import { renderIpvs } from './text.ts'
import { type Believed, membersHold, realServersHold, virtualServersHold } from './verify.ts'
import type { Written } from './write-servers.ts'

/** The kernel knows no `random`: in a state it stands for the scheduler that the configuration names. */
export const ipvsCapabilities: Capabilities = {
  schedulers: new Set(schedulers.filter((name) => name !== 'random')),
  affinity: true,
  sourceRanges: true,
  sctp: true,
  localhostNodePorts: false,
  forwarding: true,
}

/** Why the kernel is not as it was left. */
export type IpvsDrift = 'tableDeleted' | 'elementsChanged'

export interface IpvsParts extends IpvsKernel {
  readonly family: Family
  readonly settings: IpvsSettings
  readonly watch: RulesetWatch
  readonly timers: Timers
  /** Shared with the backend of the other family. */
  readonly problems: ProblemReports
  /** Somebody else has changed what is ours. Told once until the next look. */
  readonly onDrift: (family: Family, reason: IpvsDrift) => void
  /** Drains or looks could not be made; they are tried again. */
  readonly onError?: (error: unknown) => void
}

const drainCheckMs = 3_000
const lookMs = 2_000
/** So many virtual servers are compared without a pause for changes. */
const portion = 64

/** Services of one family as virtual servers of the kernel, with sets and a few fixed rules around them. */
export class IpvsBackend implements Backend<IpvsPlan> {
  readonly name = 'ipvs'
  readonly capabilities = ipvsCapabilities
  readonly family: Family
  readonly #parts: IpvsParts
  readonly #writer: WriterParts
  readonly #sets: SetStore<SetRole>
  readonly #serial = new Serial()
  readonly #draining = new DrainLedger()
  readonly #drains: Periodic
  readonly #looks: Periodic
  readonly #life = new AbortController()
  readonly #loss = new DeviceLoss()
  readonly #lacking: LackingSchedulers
  #belief: Belief | undefined
  /** Nothing is known to differ from what is believed. */
  #trusted = false
  #watching = false

  constructor(parts: IpvsParts) {
    const { family, ipset, settings, timers, problems } = parts
    this.family = family
    this.#parts = parts
    this.#lacking = new LackingSchedulers(settings)
    this.#sets = new SetStore(ipset, setSchema(family), (role, error) => {
      const object = { kind: 'ipset', namespace: undefined, name: setName(role, family) }
      const reason = `it is no set of ours, and foreign rules hold it, so that what depends on it does not work: ${error.message}`
      problems.tell({ object, field: 'type', reason })
    })
    this.#writer = {
      ...parts,
      ...{ sets: this.#sets, bound: this.#loss.bound },
      withDefault: (server) => this.#lacking.withDefault(server),
    }
    const onError = parts.onError ?? (() => {})
    const periodic = { timers, onError, serial: this.#serial }
    this.#drains = new Periodic({ ...periodic, everyMs: drainCheckMs, work: (signal) => this.#checkDrains(signal) })
    this.#looks = new Periodic({ ...periodic, everyMs: lookMs, work: (signal) => this.#look(signal) })
  }

  async probe(signal: AbortSignal): Promise<Support> {
    try {
      await this.#parts.ipvs.timeouts(signal)
      return { kind: 'supported' }
    } catch (cause) {
      if (cause instanceof KernelError && cause.code === 'unsupported')
        return { kind: 'unsupported', why: 'the kernel has no IPVS (module ip_vs)' }
      return { kind: 'unknown', cause }
    }
  }

  observe(signal: AbortSignal): Promise<ObservedIpvs> {
    return this.#serial.run(async () => {
      const { watch, route } = this.#parts
      if (!this.#watching) {
        await route.watchLink(ipvsDevice, (loss) => this.#onLoss(loss), this.#life.signal)
        this.#watching = true
      }
      // Until the plan that is made of this is applied nothing else is written.
      this.#trusted = false
      this.#loss.reset()
      watch.compared(this.family, signal)
      const formerAddresses = this.#belief?.host.addresses ?? []
      const found = await observeIpvs(this.#parts, this.family, signal, { formerAddresses })
      this.#lacking.found(found.servers.values())
      this.#sets.observed(found.sets)
      return found
    })
  }

  plan(change: Change, observed?: Observed): IpvsPlan {
    const context = this.#context()
    if (change.kind === 'full') return planFull(change.host, change.services, asObservedIpvs(observed), context)
    if (this.#belief === undefined) throw new RangeError('a delta needs an earlier full apply')
    const changed = new Map([...change.services].map(([id, { after }]) => [id, after]))
    return planDelta(change.host, changed, this.#belief, this.#draining, context)
  }

  apply(plan: IpvsPlan, signal: AbortSignal): Promise<void> {
    return this.#serial.run(() => this.#apply(plan, signal))
  }

  async #apply(plan: IpvsPlan, signal: AbortSignal): Promise<void> {
    this.#trusted = false
    const newcomers = newcomersOf(plan, this.#belief)
    const written = await writePlan(this.#writer, plan, signal)
    this.#remember(plan, written)
    const { rejections, stale, failure } = written
    if (failure !== undefined) throw failure
    if (stale !== undefined)
      throw new IpvsBackendError({ code: 'stale', op: 'change virtual servers', reason: stale.message, cause: stale })
    const [rejection] = rejections
    if (rejection !== undefined) {
      await this.#takeBack(newcomers, written, signal)
      throw rejected(rejection)
    }
    this.#trusted = true
    this.#looks.start()
    this.#tellLoss()
  }

  /** Refusals and all: what is refused is for whoever hears of them. */
  #remember({ outcome, draining }: IpvsPlan, { lacking }: Pick<Written, 'lacking'>): void {
    this.#lacking.add(lacking)
    const now = this.#parts.timers.monotonic()
    if (outcome.kind === 'replace') {
      this.#belief = outcome.belief
      this.#draining.retain(new Set(draining.keys()))
      for (const ip of outcome.belief.addresses.keys()) this.#loss.bound.add(ip)
    } else if (this.#belief !== undefined) this.#belief = absorb(this.#belief, outcome.delta)
    let isNew = false
    for (const servers of draining.values()) if (this.#draining.set(servers, now)) isNew = true
    if (isNew) this.#drains.wake()
    else if (this.#draining.size > 0) this.#drains.start()
    this.#report(outcome)
  }

  #report(outcome: IpvsPlan['outcome']): void {
    const { problems } = this.#parts
    const of = (laid: Laid): PortProblems => this.#lacking.problemsOf(laid)
    if (outcome.kind === 'replace') {
      problems.replace(this.family, [...outcome.belief.services.values()].map(of))
      return
    }
    for (const [id, laid] of outcome.delta.services)
      if (laid === undefined) problems.forget(this.family, id)
      else problems.update(this.family, of(laid))
  }

  /**
   * What is refused of Services that are new goes out again, so that they can be left out without another look. The rest of
   * the plan stays: it is as it should be. Of Services that were there before only a look tells what has become.
   */
  async #takeBack(
    newcomers: ReadonlyMap<ServicePortId, ServiceKey>,
    { rejections }: Written,
    signal: AbortSignal,
  ): Promise<void> {
    const refused = new Set(rejections.map(({ tag }) => tag))
    const out = new Map<ServicePortId, undefined>()
    for (const [id, service] of newcomers) if (refused.has(service)) out.set(id, undefined)
    if (out.size === 0 || this.#belief === undefined) return
    const plan = planDelta(this.#belief.host, out, this.#belief, this.#draining, this.#context())
    // What had been refused is not there, and that is no news.
    const { failure } = await writePlan(this.#writer, plan, signal)
    this.#remember(plan, noNews)
    const known = new Set(newcomers.values())
    this.#trusted = failure === undefined && [...refused].every((tag) => tag !== undefined && known.has(tag))
    if (this.#trusted) this.#tellLoss()
  }

  #context(): PlanContext {
    const { settings } = this.#parts
    return { settings, asAvailable: (wanted) => this.#lacking.asAvailable(wanted) }
  }

  async #checkDrains(signal: AbortSignal): Promise<'again' | 'done'> {
    // What was found may be about to be raised again.
    if (!this.#trusted) return 'again'
    const { ipvs, settings, timers } = this.#parts
    const parts = { ipvs, ledger: this.#draining, limitMs: settings.drainMs, now: () => timers.monotonic() }
    let isDone = false
    try {
      isDone = await checkDrains({ ...parts, hasToEnd: () => this.#serial.contended }, signal)
    } finally {
      if (!isDone && !signal.aborted) this.#drifted('elementsChanged')
    }
    return this.#draining.size > 0 ? 'again' : 'done'
  }

  async #look(signal: AbortSignal): Promise<'again'> {
    if (this.#trusted && !(await this.#isAsBelieved(signal))) this.#drifted('elementsChanged')
    return 'again'
  }

  #drifted(reason: IpvsDrift): void {
    if (!this.#trusted) return
    this.#trusted = false
    this.#parts.onDrift(this.family, reason)
  }

  /** What is lost between a look and the end of the write that follows it is told after that. */
  #onLoss(loss: LinkLoss): void {
    this.#loss.add(loss)
    if (this.#trusted) this.#tellLoss()
  }

  #tellLoss(): void {
    const lost = this.#loss.take()
    if (lost !== undefined) this.#drifted(lost === 'link' ? 'tableDeleted' : 'elementsChanged')
  }

  /** By all that looks leave out: real servers and members, in portions, so that no change has to wait for long. */
  async untouched(signal: AbortSignal): Promise<boolean> {
    const { ipvs, ipset } = this.#parts
    const holds = (check: (believed: Believed) => Promise<boolean>): Promise<boolean> =>
      this.#serial.run(async () => {
        const believed = this.#believed()
        return this.#trusted && believed !== undefined && (await check(believed))
      })
    if (!(await holds(() => this.#isAsBelieved(signal)))) return false
    const kept = new Set([...this.#sets.counts()].map(([name]) => name))
    const schema = setSchema(this.family)
    if (!(await holds(({ belief }) => membersHold(ipset, schema, { belief, kept }, signal)))) return false
    const names = [...(this.#belief?.claims.keys() ?? [])]
    for (let start = 0; start < names.length; start += portion) {
      const some = names.slice(start, start + portion)
      if (!(await holds((believed) => realServersHold(ipvs, some, believed, signal)))) return false
    }
    return true
  }

  /** By one look at the sets' headers and one at virtual servers, not at members and real servers. */
  async #isAsBelieved(signal: AbortSignal): Promise<boolean> {
    const { watch, ipvs } = this.#parts
    const believed = this.#believed()
    if (believed === undefined || !watch.untouched(this.family, signal)) return false
    return (await this.#sets.untouched(signal)) && (await virtualServersHold(ipvs, believed, signal))
  }

  #believed(): Believed | undefined {
    const belief = this.#belief
    return belief && { belief, draining: this.#draining, asAvailable: (wanted) => this.#lacking.asAvailable(wanted) }
  }

  flowTargets({ id, protocol }: ServiceState): FlowTargets | undefined {
    return conntrackTargets(this.#belief?.services.get(id), protocol, this.#draining)
  }

  endConnections(id: ServicePortId, ends: readonly FlowEnd[]): void {
    const laid = this.#belief?.services.get(id)
    const names = laid === undefined ? [] : [...claimsOf(laid).keys()]
    if (names.filter((name) => this.#draining.end(name, ends)).length > 0) this.#drains.wake()
  }

  counts(): ReadonlyMap<string, number> {
    return countAll({ belief: this.#belief, sets: this.#sets.counts(), draining: this.#draining.size })
  }

  tidy(signal: AbortSignal): Promise<number> {
    return this.#serial.run(() => this.#sets.destroyLingering(signal))
  }

  render(host: HostState, services: Iterable<ServiceState>): string {
    return renderIpvs(host, services, this.#parts.settings)
  }

  cleanup(signal: AbortSignal): Promise<void> {
    this.#belief = undefined
    this.#trusted = false
    return this.#serial.run(async () => {
      this.#draining.retain(new Set())
      await removeIpvs(this.#parts, this.family, this.#parts.settings, signal)
    })
  }

  /** Ends drains and looks; what drains goes on draining in the next run. */
  close(): void {
    this.#life.abort()
    this.#drains.close()
    this.#looks.close()
  }
}

const noNews = { lacking: new Set<string>() }
