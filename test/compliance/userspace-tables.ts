import t from 'tap'
import type { ForwarderOptions } from '../../src/backends/userspace/forward/forwarder.ts'
import { allTables, type TableTitle } from './all-tables.ts'
import { playTable } from './run-flows.ts'
import { Stage } from './stage.ts'
import { UserspaceUnderTest } from './userspace.ts'

/** Plays tables on a stage of its own, which goes with the test. */
export const playUserspace = async (
  titles: readonly TableTitle[],
  options: Partial<ForwarderOptions> = {},
): Promise<void> => {
  const protocols = ['TCP', 'UDP'] as const
  const stage = await Stage.create(protocols)
  t.teardown(() => stage.close())
  const backend = new UserspaceUnderTest(options)
  for (const title of titles) await playTable(title, allTables[title], { backend, stage, protocols })
}
