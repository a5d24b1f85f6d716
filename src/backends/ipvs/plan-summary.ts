import type { Member } from '../../kernel/ipset/member.ts'
import type { TableWriter } from '../rules/table-writer.ts'
import type { IpvsPlan } from './plan.ts'
import type { ServerDiff } from './server-diff.ts'

interface Collected extends Pick<IpvsPlan, 'detach' | 'sets' | 'device' | 'addresses' | 'outcome'> {
  readonly writers: readonly TableWriter[]
  readonly servers: ServerDiff
  /** Whether fixed rules and sets may be among it. */
  readonly structure: boolean
}

/** A plan of what was collected. */
export const summarize = ({ writers, servers: diff, structure, ...parts }: Collected): IpvsPlan => {
  const { detach, sets, device, addresses } = parts
  const tables = writers.flatMap((writer) => writer.change() ?? [])
  const servers = diff.changes()
  const gone = servers.filter(
    ({ change: { kind } }) => kind === 'deleteRealServer' || kind === 'deleteVirtualServer',
  ).length
  let added = total(sets.add) + total(sets.replace) + addresses.add.size + servers.length - gone
  let removed = total(sets.remove) + addresses.remove.length + gone
  for (const writer of writers) {
    added += writer.written
    removed += writer.removed + writer.dropped
  }
  const fixed = tables.length + detach.length + sets.create.length + sets.destroy.length + Number(device) > 0
  return {
    ...parts,
    summary: {
      empty: !fixed && added + removed === 0,
      added,
      removed,
      structure: structure && fixed,
      rulesWritten: new Map(writers.map(({ table, written }) => [table, written])),
    },
    tables,
    servers,
    draining: diff.draining,
  }
}

const total = (members: ReadonlyMap<string, readonly Member[]>): number =>
  [...members.values()].reduce((sum, list) => sum + list.length, 0)
