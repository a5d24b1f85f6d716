import { KernelError, type KernelErrorCode } from '../../kernel/netlink/error.ts'
import type { Batch } from '../../kernel/nft/batch.ts'
import type { NftClient } from '../../kernel/nft/client.ts'
import type { SetInfo } from '../../kernel/nft/objects.ts'
import type { WriteGuard } from '../../kernel/nft/write-guard.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import type { Family } from '../../model/ip.ts'
import type { Backend, Capabilities, Change, Observed, Support } from '../backend.ts'
import { type AffinitySweep, sweepAffinity } from './affinity.ts'
import { type ObservedTable, observeTable } from './observe.ts'
import type { Belief, NftPlan } from './plan.ts'
import { planChange } from './planner.ts'
import { probeNft } from './probe.ts'
import { nftFamily, type SetName, tableName } from './schema.ts'
import { nftSchedulers } from './slots.ts'
import { renderTable } from './text.ts'
import { chainDeletion, deletionScript } from './unused.ts'

export const nftCapabilities: Capabilities = {
  schedulers: new Set(nftSchedulers),
  affinity: true,
  sourceRanges: true,
  sctp: true,
  localhostNodePorts: false,
}

/** Services of one family as elements of one flat table. See ARCHITECTURE.md. */
export class NftablesBackend implements Backend<NftPlan> {
  readonly name = 'nftables'
  readonly capabilities = nftCapabilities
  readonly family: Family
  readonly #client: NftClient
  readonly #guard: WriteGuard
  readonly #counts = new Map<SetName, number>()
  /** Frontends whose remembered clients tidy looks at again, and with whom they may be remembered. */
  readonly #again = new Map<string, ReadonlySet<string>>()
  #belief: Belief | undefined
  /** Sets in our table that are not ours; tidied away with the chains that use them. */
  #strangers: readonly SetInfo[] = []
  /** How often in a row the structure was refused. */
  #scriptRefusals = 0

  constructor(family: Family, client: NftClient, guard: WriteGuard) {
    this.family = family
    this.#client = client
    this.#guard = guard
  }

  probe(signal: AbortSignal): Promise<Support> {
    return probeNft(this.#client, signal)
  }

  async observe(signal: AbortSignal): Promise<ObservedTable> {
    this.#guard.compared(this.family, signal)
    const found = await observeTable(this.#client, this.family, signal)
    this.#strangers = found.kind === 'table' ? found.strangers : []
    if (this.#scriptRefusals < 2 || found.kind !== 'table') return found
    // Its sets look like ours and are not, or a chain of that name has another hook.
    return { kind: 'incompatible', counts: found.counts, why: 'the structure is refused' }
  }

  plan(change: Change, observed?: Observed): NftPlan {
    return planChange(change, this.#belief, observed === undefined ? undefined : asObservedTable(observed))
  }

  async apply(plan: NftPlan, signal: AbortSignal): Promise<void> {
    const { script, batch } = plan
    if (script !== undefined) await this.#runScript(script, signal)
    if (batch.messages > 0) await this.#commit(batch, signal)
    const ledger = plan.outcome.kind === 'replace' ? plan.outcome.ledger : this.#belief?.ledger
    if (ledger === undefined) throw new RangeError('a delta was applied before any full change')
    if (plan.outcome.kind === 'replace') this.#counts.clear()
    for (const [set, count] of plan.counts) this.#counts.set(set, (this.#counts.get(set) ?? 0) + count)
    if (plan.outcome.kind === 'absorb') ledger.absorb(plan.outcome.delta)
    this.#belief = { host: plan.host, ledger }
    await this.#forgetClients(plan, signal)
  }

  async #runScript(script: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#guard.write(script.length, () => this.#client.runText(script, signal), signal)
      this.#scriptRefusals = 0
    } catch (error) {
      if (error instanceof KernelError && refusals.has(error.code)) this.#scriptRefusals++
      throw error
    }
  }

  async #forgetClients({ sweep, allowed }: NftPlan, signal: AbortSignal): Promise<void> {
    for (const [frontend, targets] of allowed) if (this.#again.has(frontend)) this.#again.set(frontend, targets)
    if (sweep === undefined) return
    // Once more later: a packet that was translated before the commit may write its entry after this.
    if (!sweep.exhaustive) for (const [frontend, targets] of sweep.frontends) this.#again.set(frontend, targets)
    await this.#sweep(sweep, signal)
  }

  #sweep(sweep: AffinitySweep, signal: AbortSignal): Promise<number> {
    return sweepAffinity(this.#client, this.family, sweep, (batch) => this.#commit(batch, signal), signal)
  }

  /**
   * Deletes class chains that nothing points to any more (old kernels let go of a chain some time after its last
   * element), chains and sets that are not ours, and what was remembered of endpoints that were leaving.
   */
  async tidy(signal: AbortSignal): Promise<number> {
    let swept = 0
    if (this.#again.size > 0) {
      swept = await this.#sweep({ frontends: this.#again, exhaustive: false }, signal)
      this.#again.clear()
    }
    return swept + (await this.#deleteUnused(signal))
  }

  async #deleteUnused(signal: AbortSignal): Promise<number> {
    const ledger = this.#belief?.ledger
    const chains = ledger?.unusedChains() ?? []
    const sets = this.#strangers
    if (ledger === undefined || chains.length + sets.length === 0) return 0
    if (sets.length === 0) await this.#commit(chainDeletion(this.family, chains), signal)
    else {
      const script = deletionScript(this.family, chains, sets)
      await this.#guard.write(script.length, () => this.#client.runText(script, signal), signal)
    }
    for (const name of chains) ledger.forgetChain(name)
    this.#strangers = []
    return chains.length + sets.length
  }

  counts(): ReadonlyMap<string, number> {
    return this.#counts
  }

  untouched(signal: AbortSignal): Promise<boolean> {
    return Promise.resolve(this.#guard.untouched(this.family, signal))
  }

  #commit(batch: Batch, signal: AbortSignal): Promise<unknown> {
    return this.#guard.write(batch.size, () => this.#client.commit(batch, signal), signal)
  }

  render(host: HostState, services: Iterable<ServiceState>): string {
    return renderTable(host, services)
  }

  cleanup(signal: AbortSignal): Promise<void> {
    this.#belief = undefined
    return this.#client.deleteTable(nftFamily(this.family), tableName, signal)
  }
}

/** What nft says of a set of another type, a chain with another hook, and a rule that does not go with a set. */
const refusals: ReadonlySet<string> = new Set<KernelErrorCode>(['exists', 'unsupported', 'invalid'])

const asObservedTable = (observed: Observed): ObservedTable => {
  if ('kind' in observed) return observed as ObservedTable
  throw new TypeError('observed by another backend')
}
