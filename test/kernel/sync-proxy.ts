import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { composeProxy, type NodeProxy } from '../../src/cli/compose.ts'
import { openNftables } from '../../src/cli/kernel.ts'
import { openIptables } from '../../src/cli/kernel-iptables.ts'
import type { OnDrift } from '../../src/cli/open-kernel.ts'
import { parseCommandLine } from '../../src/config/command-line.ts'
import { loadConfig } from '../../src/config/load.ts'
import { systemClock } from '../../src/sync/clock.ts'
import { noopObserver, type SyncEvents, type SyncObserver } from '../../src/sync/events.ts'
import { cluster, nodeAddresses } from './sync-cluster.ts'
import { never } from './sync-rig.ts'

export type Event = {
  readonly [Name in keyof SyncEvents]: { readonly name: Name } & SyncEvents[Name]
}[keyof SyncEvents]

/** The program's own parts from the tracker to the kernel, monitor and all, running in this process. */
export class RunningProxy {
  readonly events: Event[] = []
  readonly proxy: NodeProxy
  readonly #stop = new AbortController()
  readonly #close: () => void
  readonly #ended: Promise<void>

  private constructor(proxy: NodeProxy, events: Event[], close: () => void) {
    this.proxy = proxy
    this.events = events
    this.#close = close
    this.#ended = proxy.loop.run(this.#stop.signal, never)
  }

  static async start(flags: readonly string[] = []): Promise<RunningProxy> {
    const { config } = loadConfig(
      parseCommandLine(['--hostname-override=here', '--manifests=/none', ...flags]),
      undefined,
    )
    const events: Event[] = []
    let proxy: NodeProxy | undefined
    const onDrift: OnDrift = (family, reason) => proxy?.distrust(family, reason)
    const logger = pino({ level: 'silent' })
    const kernel =
      config.mode === 'iptables'
        ? await openIptables(config, onDrift, logger, never)
        : await openNftables(onDrift, logger, never)
    proxy = composeProxy({
      config,
      backends: kernel.backends,
      observer: recorder(events),
      clock: systemClock,
      firstWritten: () => {},
    })
    proxy.sink.changes(cluster)
    proxy.sink.synced()
    proxy.setAddresses(nodeAddresses)
    const running = new RunningProxy(proxy, events, kernel.close)
    await until(() => running.of('applied').length >= 2)
    return running
  }

  of<Name extends keyof SyncEvents>(name: Name): readonly SyncEvents[Name][] {
    return this.events.filter((event) => event.name === name) as unknown as readonly SyncEvents[Name][]
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#ended
    this.#close()
  }
}

const recorder = (events: Event[]): SyncObserver => {
  const entries = Object.keys(noopObserver).map((name) => [
    name,
    (event: object) => void events.push({ name, ...event } as Event),
  ])
  return Object.fromEntries(entries) as SyncObserver
}

/** Waits for `condition`; returns how many milliseconds it took, or throws after `limitMs`. */
export const until = async (condition: () => boolean | Promise<boolean>, limitMs = 5000): Promise<number> => {
  const start = performance.now()
  while (!(await condition())) {
    if (performance.now() - start > limitMs) throw new Error(`not within ${limitMs} ms`)
    await sleep(5)
  }
  return performance.now() - start
}
