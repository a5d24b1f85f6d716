import t from 'tap'
import type { Protocol } from '../../src/model/protocol.ts'
import { allTables, type TableTitle } from './all-tables.ts'
import { IpvsUnderTest } from './ipvs.ts'
import { playTable } from './run-flows.ts'
import { Stage } from './stage.ts'

/** Plays tables on a stage of its own, which goes with the test. For a guest. */
export const playIpvs = async (
  titles: readonly TableTitle[],
  protocols: readonly Protocol[] = ['TCP', 'UDP'],
): Promise<void> => {
  const stage = await Stage.create(protocols)
  t.teardown(() => stage.close())
  const backend = new IpvsUnderTest()
  for (const title of titles) await playTable(title, allTables[title], { backend, stage, protocols })
}
