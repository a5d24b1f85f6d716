import type { IpvsSettings } from '../backends/ipvs/settings.ts'
import type { Config } from '../config/config.ts'
import type { Family } from '../model/ip.ts'
import { defaultSchedulerOf } from './settings.ts'

export const ipvsSettings = (
  config: Pick<Config, 'mode' | 'ipvs'>,
  family: Family,
  { randomFully }: Pick<IpvsSettings, 'randomFully'>,
): IpvsSettings => ({
  family,
  scheduler: defaultSchedulerOf(config),
  excludeCidrs: config.ipvs.excludeCidrs,
  drainMs: config.ipvs.drainTimeoutMs,
  randomFully,
})
