import type { ServiceState } from '../../model/desired.ts'
import type { Lack } from './problem-reports.ts'
import type { IpvsSettings } from './settings.ts'

/** What a Service asks for and this kernel turned out to lack. */
export const lacksOf = (
  { scheduling: { scheduler } }: ServiceState,
  lacking: ReadonlySet<string>,
  settings: Pick<IpvsSettings, 'scheduler'>,
): readonly Lack[] =>
  lacking.has(scheduler)
    ? [
        {
          field: 'metadata.annotations[weir.dev/scheduler]',
          reason: `this kernel has no scheduler "${scheduler}" (module ip_vs_${scheduler}), so "${settings.scheduler}" is used`,
        },
      ]
    : []
