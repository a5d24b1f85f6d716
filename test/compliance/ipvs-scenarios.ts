import { type IpvsOptions, IpvsUnderTest } from './ipvs.ts'
import { createIpvsStage } from './ipvs-tables.ts'
import type { Stage } from './stage.ts'

/** What tables cannot say. For a guest. */
export const playIpvsScenarios = async (
  options: IpvsOptions,
  ...scenarios: readonly ((backend: IpvsUnderTest, stage: Stage) => Promise<void>)[]
): Promise<void> => {
  const stage = await createIpvsStage(['TCP', 'UDP'])
  const backend = new IpvsUnderTest(options)
  for (const play of scenarios) await play(backend, stage)
  await stage.close()
}
