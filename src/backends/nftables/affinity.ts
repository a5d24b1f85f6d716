import { KernelError } from '../../kernel/netlink/error.ts'
import { Batch } from '../../kernel/nft/batch.ts'
import type { NftClient } from '../../kernel/nft/client.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { Family } from '../../model/ip.ts'
import { readElement, writeElement } from './codec.ts'
import type { Element } from './element.ts'
import { frontendKey, frontendsOf } from './layout.ts'
import { nftFamily, tableName } from './schema.ts'

/** Endpoints that clients of a frontend may be remembered with, as `ip . port`. */
type Allowed = ReadonlySet<string>

/**
 * Which remembered clients have to be forgotten after an apply. Packets write these entries, so they are no part of a
 * plan's diff: they are read back, judged and deleted.
 */
export interface AffinitySweep {
  /** By the key of a frontend: `address . protocol . port` or `protocol . node port`. */
  readonly frontends: ReadonlyMap<string, Allowed>
  /** Entries of any other frontend go too. */
  readonly exhaustive: boolean
}

interface Remembered {
  readonly targets: Allowed
  /** externalTrafficPolicy Local: whose clients may be where depends on the client. */
  readonly split: boolean
}

const nobody: Allowed = new Set()

const rememberedBy = (state: ServiceState | undefined): ReadonlyMap<string, Remembered> => {
  const found = new Map<string, Remembered>()
  if (state?.affinitySeconds === undefined) return found
  for (const frontend of frontendsOf(state)) {
    const split = frontend.external && frontend.policy === 'Local'
    const targets = split
      ? [...state.cluster, ...state.local]
      : frontend.policy === 'Local'
        ? state.local
        : state.cluster
    const names = new Set(targets.map(({ ip, port }) => `${ip} . ${port}`))
    found.set(frontendKey(state, frontend).join(' . '), { targets: names, split })
  }
  return found
}

/** What a change of one virtual server makes stale, added to `into`. Nothing when it only gained endpoints. */
export const addStale = (
  before: ServiceState | undefined,
  after: ServiceState | undefined,
  into: Map<string, Allowed>,
): void => {
  if (before?.affinitySeconds === undefined) return
  const now = rememberedBy(after)
  for (const [key, old] of rememberedBy(before)) {
    const next = now.get(key)
    if (next === undefined || next.split !== old.split) into.set(key, nobody)
    else if ([...old.targets].some((target) => !next.targets.has(target))) into.set(key, next.targets)
  }
}

/** Everything that may be remembered for one virtual server, for a sweep that is exhaustive. */
export const addAllowed = (state: ServiceState, into: Map<string, Allowed>): void => {
  if (state.affinitySeconds === undefined) return
  for (const [key, { targets }] of rememberedBy(state)) into.set(key, targets)
}

const attempts = 3

/** Deletes the stale entries. An entry that expires on its own meanwhile is as good as deleted. */
export const sweepAffinity = async (
  client: NftClient,
  family: Family,
  sweep: AffinitySweep,
  commit: (batch: Batch) => Promise<unknown>,
  signal: AbortSignal,
): Promise<number> => {
  for (let attempt = 1; ; attempt++) {
    const stale = await findStale(client, family, sweep, signal)
    if (stale.length === 0) return 0
    try {
      await commit(deletion(stale, family))
      return stale.length
    } catch (error) {
      // One of them expired between the look and the deletion, and took the whole batch with it.
      if (!(error instanceof KernelError) || error.code !== 'notFound') throw error
      if (attempt === attempts) throw new KernelError({ code: 'interrupted', op: error.op, cause: error })
    }
  }
}

const deletion = (stale: readonly Element[], family: Family): Batch => {
  const batch = new Batch(nftFamily(family), tableName)
  batch.elements('delete', 'affinity')
  for (const element of stale) writeElement(batch, element, 'delete', family)
  return batch
}

const findStale = async (
  client: NftClient,
  family: Family,
  { frontends, exhaustive }: AffinitySweep,
  signal: AbortSignal,
): Promise<readonly Element[]> => {
  const stale: Element[] = []
  await client.dumpElements(
    { family: nftFamily(family), name: tableName },
    'affinity',
    (key, keyEnd, data, comment) => {
      const entry = readElement('affinity', family, { key, keyEnd, data, comment, intervalEnd: false })
      if (entry === undefined || !Array.isArray(entry.value)) return
      const [, server, protocol, port] = entry.key
      const nodePort = `${protocol} . ${port}`
      const allowed = frontends.get(`${server} . ${nodePort}`) ?? frontends.get(nodePort)
      if (allowed === undefined ? exhaustive : !allowed.has(entry.value.join(' . '))) stale.push(entry)
    },
    signal,
    { inexact: true },
  )
  return stale
}
