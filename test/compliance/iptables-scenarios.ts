import { playAffinity, playAffinityChanges } from './affinity.ts'
import { ChangeScenarios } from './changes.ts'
import { type IptablesOptions, IptablesUnderTest } from './iptables.ts'
import { playNode } from './node.ts'
import { SchedulingScenarios } from './scheduling.ts'
import { Stage } from './stage.ts'
import { playUdp } from './udp.ts'

/** What tables cannot say. */
export const scenarios = {
  affinity: playAffinity,
  'affinity through changes': playAffinityChanges,
  scheduling: (backend: IptablesUnderTest, stage: Stage) => new SchedulingScenarios(backend, stage).play(),
  changes: (backend: IptablesUnderTest, stage: Stage) => new ChangeScenarios(backend, stage).play(),
  node: playNode,
  'UDP flows': playUdp,
} as const

export const playScenarios = async (
  options: readonly IptablesOptions[],
  names: readonly (keyof typeof scenarios)[],
): Promise<void> => {
  for (const option of options) {
    // A new stage has no old connections, by which turns could be mistaken.
    const stage = await Stage.create(['TCP', 'UDP'])
    const backend = new IptablesUnderTest(option)
    for (const name of names) await scenarios[name](backend, stage)
    await stage.close()
  }
}
