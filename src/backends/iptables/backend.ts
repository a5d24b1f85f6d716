import type { Ipset } from '../../kernel/ipset/ipset.ts'
import { IpsetError } from '../../kernel/ipset/ipset-error.ts'
import type { Iptables } from '../../kernel/iptables/iptables.ts'
import { IptablesError } from '../../kernel/iptables/iptables-error.ts'
import type { TableChange } from '../../kernel/iptables/restore-builder.ts'
import type { RulesetWatch } from '../../kernel/iptables/ruleset-watch.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import type { Backend, Capabilities, Change, Observed, Support } from '../backend.ts'
import { ruleTables } from '../rules/rule-table.ts'
import { SetStore } from '../rules/set-store.ts'
import { absorb } from './belief.ts'
import { fixedChainNames } from './fixed-names.ts'
import { asObservedRules, type ObservedRules, observeRules } from './observe.ts'
import type { Belief, IptablesPlan } from './plan.ts'
import { planDelta } from './plan-delta.ts'
import { planFull } from './plan-full.ts'
import { removeRules } from './remove.ts'
import { type SetRole, setSchema } from './sets.ts'
import type { IptablesSettings } from './settings.ts'
import { takingBack } from './take-back.ts'
import { renderIptables } from './text.ts'

export const iptablesCapabilities: Capabilities = {
  schedulers: new Set(['random', 'rr']),
  affinity: true,
  sourceRanges: true,
  sctp: true,
  localhostNodePorts: true,
}

export interface IptablesParts {
  readonly family: Family
  readonly settings: IptablesSettings
  readonly iptables: Iptables
  /** Undefined where the kernel has no sets; then the settings must not ask for them. */
  readonly ipset: Ipset | undefined
  readonly watch: RulesetWatch
}

/** Services of one family as chains, in kube-proxy's layout or with what sets and trees can do better. */
export class IptablesBackend implements Backend<IptablesPlan> {
  readonly name = 'iptables'
  readonly capabilities = iptablesCapabilities
  readonly family: Family
  readonly #parts: IptablesParts
  readonly #sets: SetStore<SetRole> | undefined
  #belief: Belief | undefined

  constructor(parts: IptablesParts) {
    const { family, ipset, settings } = parts
    if (settings.ipset && ipset === undefined) throw new RangeError('sets are asked for where there are none')
    this.family = family
    this.#parts = parts
    this.#sets = ipset === undefined ? undefined : new SetStore(ipset, setSchema(family))
  }

  async probe(signal: AbortSignal): Promise<Support> {
    try {
      await this.#parts.iptables.tables(signal)
      return { kind: 'supported' }
    } catch (cause) {
      return { kind: 'unknown', cause }
    }
  }

  async observe(signal: AbortSignal): Promise<ObservedRules> {
    const { iptables, ipset, watch } = this.#parts
    watch.compared(this.family, signal)
    const found = await observeRules(iptables, ipset, fixedChainNames, signal)
    this.#sets?.observed(found.sets)
    return found
  }

  plan(change: Change, observed?: Observed): IptablesPlan {
    const { settings } = this.#parts
    if (change.kind === 'full') return planFull(change.host, change.services, asObservedRules(observed), settings)
    if (this.#belief === undefined) throw new RangeError('a delta needs an earlier full apply')
    return planDelta(change.host, change.services, this.#belief, settings)
  }

  async apply(plan: IptablesPlan, signal: AbortSignal): Promise<void> {
    const { tables, sets, outcome } = plan
    try {
      await this.#sets?.prepare(sets, signal)
      await this.#restore(tables, signal)
    } catch (error) {
      // What is compared before it is written needs no undoing: the next look shows what is there.
      if (outcome.kind === 'absorb') await this.#takeBack(plan, error, signal)
      throw error
    }
    await this.#sets?.finish(sets, signal)
    if (outcome.kind === 'replace') this.#belief = outcome.belief
    else if (this.#belief !== undefined) this.#belief = absorb(this.#belief, outcome.delta)
  }

  async #restore(tables: readonly TableChange[], signal: AbortSignal): Promise<void> {
    if (tables.length === 0) return
    const { iptables, watch } = this.#parts
    const bytes = tables.reduce((sum, { statements }) => sum + statements.length, 0) * 128
    await watch.write(this.family, bytes, () => iptables.restore(tables, signal), signal)
  }

  /** After a refusal nothing of the plan is there. Other failures do not tell how far it got: a look has to. */
  async #takeBack({ tables, sets }: IptablesPlan, error: unknown, signal: AbortSignal): Promise<void> {
    if (error instanceof IptablesError && error.code === 'rejected') {
      const undoing = takingBack(tables, error)
      if (undoing === undefined) {
        const reason = 'refused in part, which cannot be taken back without a look'
        throw new IptablesError('io', error.op, reason, { cause: error })
      }
      await this.#restore(undoing, signal)
    } else if (!(error instanceof IpsetError)) return
    await this.#sets?.takeBack(sets, signal)
  }

  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const table of ruleTables) counts.set(table, this.#belief?.rules[table] ?? 0)
    if (this.#parts.settings.ipset) for (const [name, entries] of this.#sets?.counts() ?? []) counts.set(name, entries)
    return counts
  }

  async tidy(signal: AbortSignal): Promise<number> {
    return (await this.#sets?.destroyLingering(signal)) ?? 0
  }

  async untouched(signal: AbortSignal): Promise<boolean> {
    const { watch, settings } = this.#parts
    if (!watch.untouched(this.family, signal)) return false
    return !settings.ipset || (await this.#sets?.untouched(signal)) === true
  }

  render(host: HostState, services: Iterable<ServiceState>): string {
    return renderIptables(host, services, this.#parts.settings)
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    this.#belief = undefined
    await removeRules(this.#parts, signal)
  }
}
