/** 100,000 entries: only what is stale is deleted, memory stays flat, and others have their turn meanwhile. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import type { FlowEnd } from '../../src/model/flow.ts'
import { EndMap } from '../../src/sync/flows/end-map.ts'
import { sweep } from '../../src/sync/flows/sweep.ts'
import { createFlows, type NewFlow } from '../support/conntrack-entries.ts'
import { end } from '../support/flows.ts'
import { ownNamespace } from '../support/namespace.ts'
import { sh } from './cli-program.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const count = 100_000
const staleCount = 100
const mostMiB = 20

const front = end('10.96.0.53:53')
const [live, gone] = [end('10.244.0.1:53'), end('10.244.0.2:53')]
const client = (i: number): FlowEnd => ({ ...end(`198.51.100.${1 + (i >> 15)}:1`), port: 1_024 + (i & 0x7fff) })
function* flows(): Generator<NewFlow> {
  for (let i = 0; i < count; i++)
    yield {
      family: 'IPv4',
      protocol: 'UDP',
      source: client(i),
      destination: front,
      target: i % (count / staleCount) === 0 ? gone : live,
    }
}

/** MiB: VmRSS or VmHWM of proc_pid_status(5). */
const memory = (field: 'VmRSS' | 'VmHWM'): number =>
  Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024

t.test('100,000 entries', async (t) => {
  await createFlows(flows(), signal)
  t.equal(Number(sh('conntrack -C')), count)
  const table = openConntrack()
  t.teardown(() => table.close())
  const lives = new EndMap([[live, true]])
  const options = {
    table,
    family: 'IPv4',
    protocol: 'UDP',
    mayDelete: () => true,
    untilSettled: async () => true,
  } as const
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  // The first one grows what is there to stay.
  await sweep({ ...options, isStale: () => false }, signal)
  t.ok(turns > 3, `others had their turn ${turns} times`)
  clearInterval(timer)
  // proc(5): begins the peak anew.
  writeFileSync('/proc/self/clear_refs', '5')
  const before = memory('VmRSS')
  const start = performance.now()
  // As many as one reading of 1,000,000.
  for (let i = 0; i < 9; i++) await sweep({ ...options, isStale: () => false }, signal)
  const swept = await sweep({ ...options, isStale: ({ target }) => !lives.has(target) }, signal)
  t.comment(`ten readings: ${Math.round(performance.now() - start)} ms`)
  const extra = memory('VmHWM') - before
  t.ok(extra < mostMiB, `${extra.toFixed(1)} MiB more than before`)
  t.same(swept, { deleted: staleCount, failures: [], whole: true })
  t.equal(Number(sh('conntrack -C')), count - staleCount)
  t.equal(sh('conntrack -L -p udp 2>/dev/null | grep -c src=10.244.0.2 || true').trim(), '0')
})
