/** FakeConntrack beside the kernel: the same entries, the same calls, the same answers. */
import t, { type Test } from 'tap'
import type { Conntrack } from '../../src/kernel/conntrack/conntrack.ts'
import { FakeConntrack } from '../../src/kernel/conntrack/fake-conntrack.ts'
import { openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import { type Flow, flowText } from '../../src/model/flow.ts'
import { families } from '../../src/model/ip.ts'
import { createFlows } from '../support/conntrack-entries.ts'
import { flow } from '../support/flows.ts'
import { ownNamespace } from '../support/namespace.ts'
import { sh } from './cli-program.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const entries: readonly Flow[] = [
  flow('10.96.0.53:53', '10.244.0.1:53'),
  flow('10.96.0.53:53', '10.244.0.2:53'),
  flow('8.8.8.8:53'),
  flow('[fd00:96::53]:53', '[2001:db8:2::1]:53'),
  flow('[fd00:96::53]:53'),
]

/** What the caller sees of a table with these entries, step by step. */
const play = async (t: Test, table: Conntrack): Promise<readonly unknown[]> => {
  const read = async (): Promise<readonly Flow[]> => {
    const found: Flow[] = []
    for (const family of families)
      for (const protocol of ['UDP', 'TCP', 'SCTP'] as const)
        await table.flows({ family, protocol }, (each) => found.push(each.copy()), signal)
    return found
  }
  const texts = (flows: readonly Flow[]): readonly string[] =>
    flows.map((each) => `${flowText(each)} ${JSON.stringify(each.target)} zone ${each.zone}`).sort()
  const all = await read()
  // In which order they come is the kernel's secret.
  const first = all.find(({ source }) => source.port === entries[0]?.source.port)
  if (first === undefined) throw new TypeError('no entry')
  const steps: unknown[] = [texts(all)]
  steps.push(await table.delete([{ ...first, id: (first.id ^ 1) >>> 0 }], signal), texts(await read()))
  steps.push(await table.delete([{ ...first, zone: 7 }], signal))
  steps.push(await table.delete([first, first], signal), texts(await read()))
  steps.push((await table.stats(signal)).entries)
  const over = AbortSignal.abort(new Error('over'))
  await t.rejects(
    table.flows({ family: 'IPv4', protocol: 'UDP' }, () => {}, over),
    { message: 'over' },
  )
  await t.rejects(table.delete(all, over), { message: 'over' })
  await t.rejects(table.stats(over), { message: 'over' })
  steps.push(await table.delete([], signal), await table.delete(all, signal), texts(await read()))
  return steps
}

t.test('both say the same', async (t) => {
  await createFlows(entries, signal)
  t.equal(Number(sh('conntrack -C')), entries.length)
  const kernel = openConntrack()
  t.teardown(() => kernel.close())
  t.same(await play(t, new FakeConntrack(entries)), await play(t, kernel))
  t.equal(Number(sh('conntrack -C')), 0)
})
