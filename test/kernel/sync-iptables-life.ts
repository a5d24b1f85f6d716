import assert from 'node:assert/strict'
import type { Backend } from '../../src/backends/backend.ts'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import type { HostState } from '../../src/model/host.ts'
import { leastChanges, plannedChanges, type WantedRules, wantedRules } from './sync-iptables-expected.ts'
import { Ledger } from './sync-iptables-faults.ts'
import type { RuleKernel } from './sync-iptables-kernel.ts'
import { IptablesRig, type RecordingIptables } from './sync-iptables-rig.ts'
import { LivingNode, type Tally } from './sync-life.ts'
import type { Fault, Life } from './sync-world.ts'

/** One node under test, with iptables. */
export class IptablesNode extends LivingNode<RecordingIptables, WantedRules> {
  readonly ledger: Ledger
  readonly #life: Life

  constructor(life: Life, kernel: RuleKernel, layout: Partial<IptablesSettings>, tally: Tally) {
    const ledger = new Ledger()
    super(life, new IptablesRig({ kernel, ledger, layout, settings: life.settings }), tally)
    this.ledger = ledger
    this.#life = life
  }

  /** Another process that starts with the final objects; its ledger says what it wrote. */
  async start(
    kernel: RuleKernel,
    layout: Partial<IptablesSettings>,
  ): Promise<{ readonly rig: IptablesRig; readonly ledger: Ledger }> {
    const ledger = new Ledger()
    const rig = await this.succeed(new IptablesRig({ kernel, ledger, layout, settings: this.#life.settings }))
    return { rig, ledger }
  }

  protected begin(faults: readonly Fault[]): void {
    this.ledger.begin(faults)
  }

  protected injected(): number {
    return this.ledger.injected
  }

  protected looks(): number {
    return this.ledger.looks
  }

  protected wanted(host: HostState, states: readonly ServiceState[], { settings }: RecordingIptables): WantedRules {
    return wantedRules(host, states, settings)
  }

  protected plans({ plans }: RecordingIptables): number {
    return plans.length
  }

  protected checkPartial(before: WantedRules, after: WantedRules, backend: RecordingIptables): void {
    const plan = backend.plans.at(-1)
    assert.ok(plan !== undefined)
    const planned = plannedChanges(plan, backend.settings)
    assert.deepEqual(
      withoutHandovers(planned),
      withoutHandovers(leastChanges(before, after)),
      'exactly the difference is written',
    )
    assert.deepEqual(rulesOf(backend), after.rules, 'and counted')
    this.tally.written += planned.length
    this.tally.present += Object.values(after.rules).reduce((sum, rules) => sum + rules, after.elements.size)
  }
}

/** A rule that stays may be deleted and written again: of a service port whose protocol changes, around others. */
const withoutHandovers = (changes: readonly string[]): readonly string[] => {
  const all = new Set(changes)
  const both = (change: string): boolean => all.has(`- ${change.slice(2)}`) && all.has(`+ ${change.slice(2)}`)
  return changes.filter((change) => !both(change))
}

const rulesOf = (backend: Backend): unknown => {
  const counts = backend.counts()
  return Object.fromEntries((['mangle', 'filter', 'nat'] as const).map((table) => [table, counts.get(table)]))
}
