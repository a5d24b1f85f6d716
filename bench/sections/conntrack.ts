import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ConntrackOperations, Reconciled, Table } from '../conntrack/operations.ts'
import { inOwnNetns } from '../process/own-netns.ts'
import { median } from '../stats.ts'
import type { Bench } from './section.ts'

const workerModule = new URL('../conntrack/worker.js', import.meta.url)
const netns = 'conntrack'
const usual: Table = { entries: 100_000, stale: 100 }
const large: Table = { entries: 1_000_000, stale: 100 }

/** How long stale flows are looked for, beside what the tool takes to list the same table to nowhere. */
export const conntrackSection = async ({ options, report, begin }: Bench): Promise<void> => {
  const measure = (wanted: Table, repetitions: number): Promise<void> =>
    inOwnNetns<ConntrackOperations, void>(workerModule, netns, async (start) => {
      const filler = start()
      const limit = await filler.ask('limit', undefined)
      const entries = Math.min(wanted.entries, Math.floor(0.95 * limit))
      if (entries < wanted.entries)
        report.progress(
          `${entries.toLocaleString('en')} entries at most: nf_conntrack_max is ${limit.toLocaleString('en')}`,
        )
      const table = { ...wanted, entries }
      const many = entries.toLocaleString('en')
      await filler.ask('fill', table)
      const reconciler = start()
      await reconciler.ask('serve', undefined)
      const samples: Reconciled[] = []
      const dumps: number[] = []
      let first = 0
      for (let i = 0; i <= repetitions; i++) {
        if (i > 0) await filler.ask('refill', table)
        const dump = await listing()
        const sample = await reconciler.ask('reconcile', undefined)
        if (sample.deleted !== table.stale) throw new Error(`${sample.deleted} of ${table.stale} entries were deleted`)
        // The first run runs unoptimised code, and makes the process grow to what it then stays.
        if (i === 0) first = sample.ms
        else {
          dumps.push(dump)
          samples.push(sample)
        }
      }
      const of = (pick: (sample: Reconciled) => number): readonly number[] => samples.map(pick)
      report.add(`conntrack -L -p udp to /dev/null, ${many} entries`, 'ms', dumps)
      const { p50 } = report.add(
        `reconcile, ${many} entries, ${table.stale} of them stale`,
        'ms',
        of(({ ms }) => ms),
      )
      report.add('  the first one of a process', 'ms', [first])
      report.add('  beside conntrack -L, medians', '×', [p50 / median(dumps)], { targets: [{ of: 'p50', atMost: 2 }] })
      report.add(
        `  peak RSS beyond what was there before, ${many} entries`,
        'MiB',
        of(({ extraMiB }) => extraMiB),
        { targets: [{ of: 'max', atMost: 20 }] },
      )
    })
  await begin('Stale flows of UDP: 1,000 Services × 8 endpoints, half of the entries to Services, half to elsewhere')
  await measure(usual, options.quick ? 5 : 20)
  if (!options.quick) await measure(large, 3)
}

/** Milliseconds from the start of conntrack(8) to its end. */
const listing = async (): Promise<number> => {
  const start = performance.now()
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, 'conntrack', '-L', '-p', 'udp'], { stdio: 'ignore' })
  const [status]: unknown[] = await once(child, 'exit')
  if (status !== 0) throw new Error(`conntrack -L: status ${String(status)}`)
  return performance.now() - start
}
