import { describe, expect, it } from 'vitest'
import { hostsOf } from '../../../test/kernel/sync-classes.ts'
import { cluster } from '../../../test/kernel/sync-cluster.ts'
import { dumpRules } from '../../../test/kernel/sync-iptables-dump.ts'
import { leastChanges, plannedChanges, wantedRules } from '../../../test/kernel/sync-iptables-expected.ts'
import { Ledger, TestWatch } from '../../../test/kernel/sync-iptables-faults.ts'
import { fakeKernel } from '../../../test/kernel/sync-iptables-kernel.ts'
import { layoutName, layouts, RecordingIptables, settingsFor } from '../../../test/kernel/sync-iptables-rig.ts'
import { never, plainSettings } from '../../../test/kernel/sync-rig.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { HostState } from '../../model/host.ts'
import { type Family, families } from '../../model/ip.ts'
import { TrackedDesired } from '../../sync/tracked-desired.ts'
import { Tracker } from '../../track/tracker.ts'
import type { IptablesSettings } from './settings.ts'

const statesOf = (family: Family): readonly ServiceState[] => {
  const tracker = new Tracker({ startedAt: 0 })
  tracker.apply(cluster)
  const desired = new TrackedDesired({
    tracker,
    settings: plainSettings,
    nodeName: 'here',
    supportedSchedulers: new Set(['random', 'rr']),
    interfaceAddresses: () => [],
  })
  return [...desired.keys()].flatMap((key) => desired.states(family, key))
}

const start = (settings: IptablesSettings) => {
  const kernel = fakeKernel()
  const backend = new RecordingIptables(kernel, settings, new Ledger(), new TestWatch())
  const full = async (host: HostState, services: readonly ServiceState[]): Promise<void> => {
    const observed = await backend.observe(never)
    await backend.apply(backend.plan({ kind: 'full', host, services, rewrite: false }, observed), never)
  }
  return { kernel, backend, full }
}

/** So that neighbours differ in much: 31 and the number of hosts have no common divisor. */
const shuffled = <T>(list: readonly T[]): readonly T[] =>
  list.flatMap((_, i) => {
    const at = (i * 31) % list.length
    return list.slice(at, at + 1)
  })

describe.each(families)('when the node changes, %s', (family) => {
  const states = statesOf(family)

  it.each(layouts.map((layout) => ({ layout, name: layoutName(layout) })))(
    'all rules follow: $name',
    async ({ layout }) => {
      const settings = settingsFor(family, { ...layout, localhostNodePorts: family === 'IPv4' })
      const [first, ...others] = shuffled(hostsOf(family)).slice(0, 42)
      if (first === undefined) throw new Error('no hosts')
      const { kernel, backend, full } = start(settings)
      await full(first, states)
      let last = first
      for (const host of others) {
        const plan = backend.plan({ kind: 'delta', host, services: new Map() })
        const least = leastChanges(wantedRules(last, states, settings), wantedRules(host, states, settings))
        expect(new Set(plannedChanges(plan, settings))).toEqual(new Set(least))
        await backend.apply(plan, never)
        const fresh = start(settings)
        await fresh.full(host, states)
        expect(await dumpRules(kernel)).toEqual(await dumpRules(fresh.kernel))
        expect(backend.counts()).toEqual(fresh.backend.counts())
        last = host
      }
    },
    60_000,
  )
})
