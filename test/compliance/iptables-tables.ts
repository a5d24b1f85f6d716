import t from 'tap'
import type { Protocol } from '../../src/model/protocol.ts'
import { allTables, type TableTitle } from './all-tables.ts'
import { type IptablesOptions, IptablesUnderTest } from './iptables.ts'
import { playTable } from './run-flows.ts'
import { Stage } from './stage.ts'

/** Two halves of all tables that take about as long as each other: a test file has its limit. */
export const halves = {
  /** Who is reached, and where. */
  reach: [
    ...(['reach', 'NodePort addresses', 'masquerade', 'endpoints'] as const),
    ...(['topology', 'ownership', 'weights'] as const),
  ],
  /** What policies say, and who is refused. */
  rules: ['policies', 'source ranges', 'unwanted', 'edges'],
} as const satisfies Readonly<Record<string, readonly TableTitle[]>>

/** Plays tables on a stage of its own, which goes with the test. */
export const playIptables = async (
  options: IptablesOptions,
  titles: readonly TableTitle[],
  protocols: readonly Protocol[] = ['TCP', 'UDP'],
): Promise<void> => {
  const stage = await Stage.create(protocols)
  t.teardown(() => stage.close())
  const backend = new IptablesUnderTest(options)
  for (const title of titles) await playTable(title, allTables[title], { backend, stage, protocols })
}
