/** A process that fills the conntrack table of its network namespace, or that reconciles it as `weir run` does. */
import { readFileSync, writeFileSync } from 'node:fs'
import { NftablesBackend } from '../../src/backends/nftables/backend.ts'
import { composeProxy, type NodeProxy } from '../../src/cli/compose.ts'
import { parseCommandLine } from '../../src/config/command-line.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import { systemClock } from '../../src/sync/clock.ts'
import { noopObserver, type SyncEvents } from '../../src/sync/events.ts'
import { createFlows } from '../../test/support/conntrack-entries.ts'
import { peakMiB } from '../process/memory.ts'
import { answer } from '../process/worker.ts'
import { nodeFlags } from '../proxy/flags.ts'
import { flowsOf, staleFlowsOf, udpObjects } from './entries.ts'
import type { ConntrackOperations, Reconciled } from './operations.ts'

const never = new AbortController().signal

let proxy: NodeProxy | undefined
let last: SyncEvents['flowsReconciled'] | undefined

const serve = async (): Promise<null> => {
  const { config } = loadConfig(parseCommandLine(['run', ...nodeFlags]), undefined)
  const client = openNftClient()
  proxy = composeProxy({
    config,
    backends: [new NftablesBackend('IPv4', client, new WriteGuard(client))],
    observer: {
      ...noopObserver,
      flowsReconciled: (event) => {
        last = event
      },
      flowsFailed: ({ message }) => {
        throw new Error(message)
      },
    },
    clock: systemClock,
    flows: openConntrack(),
    firstWritten: () => {},
  })
  proxy.sink.changes(udpObjects())
  proxy.sink.synced()
  const error = await proxy.loop.syncOnce(never)
  if (error !== undefined) throw error
  return null
}

const residentMiB = (): number =>
  Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024

const reconcile = async (): Promise<Reconciled> => {
  const [reconciler] = proxy?.flows ?? []
  if (reconciler === undefined) throw new Error('nothing is served')
  // proc(5): begins the peak anew.
  writeFileSync('/proc/self/clear_refs', '5')
  const before = residentMiB()
  last = undefined
  reconciler.again()
  await reconciler.once(never)
  // Set meanwhile, which the compiler cannot see.
  const done = last as SyncEvents['flowsReconciled'] | undefined
  if (done === undefined) throw new Error('it failed')
  return { ms: done.durationMs, deleted: done.deleted, extraMiB: peakMiB() - before }
}

answer<ConntrackOperations>({
  limit: async () => (await openConntrack().stats(never)).limit ?? 0,
  fill: async (table) => {
    await createFlows(flowsOf(table), never)
    return null
  },
  refill: async (table) => {
    await createFlows(staleFlowsOf(table), never)
    return null
  },
  serve,
  reconcile,
})
