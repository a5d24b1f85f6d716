import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { conntrackMetrics, type TrackedFlows } from '../../../src/observe/metrics/conntrack-metrics.ts'

const lines = async (registry: Registry): Promise<readonly string[]> =>
  (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))

it('shows what the kernel counts, read once at each scrape, and nothing that it does not count', async () => {
  const registry = new Registry()
  let reads = 0
  let now: TrackedFlows | undefined = {
    entries: 12,
    limit: 262_144,
    counters: new Map([
      ['insert_failed', 3],
      ['drop', 0],
      ['found', 99],
    ]),
  }
  conntrackMetrics(registry, async () => {
    reads++
    if (now === undefined) throw new Error('not permitted')
    return now
  })
  expect(await lines(registry)).toEqual([
    'weir_conntrack_entries 12',
    'weir_conntrack_entries_limit 262144',
    'weir_conntrack_insert_failed_total 3',
    'weir_conntrack_drop_total 0',
  ])
  expect(reads).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 120))
  now = { entries: 13, limit: undefined, counters: new Map([['early_drop', 4]]) }
  expect(await lines(registry)).toEqual(['weir_conntrack_entries 13', 'weir_conntrack_early_drop_total 4'])
  await new Promise((resolve) => setTimeout(resolve, 120))
  now = undefined
  expect(await lines(registry)).toEqual([])
})
