import { setTimeout as sleep } from 'node:timers/promises'
import { UserspaceBackend, userspaceCapabilities } from '../../src/backends/userspace/backend.ts'
import { createForwarder } from '../../src/backends/userspace/forward/create-forwarder.ts'
import type { Forwarder, ForwarderOptions } from '../../src/backends/userspace/forward/forwarder.ts'
import { tableFamily, userspaceTable } from '../../src/backends/userspace/redirect/schema.ts'
import { type NetlinkConntrack, openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import { openNftClient } from '../../src/kernel/nft/kernel-client.ts'
import { WriteGuard } from '../../src/kernel/nft/write-guard.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Settings, Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { InProcessProxy } from './in-process.ts'

const { signal } = new AbortController()

export const userspaceTraits: Traits = {
  ...userspaceCapabilities,
  unusedPorts: 'routed',
  unusedClusterIPs: 'routed',
  pings: 'routed',
  externalFromNode: 'refused',
  unusedExternalPorts: 'routed',
  fromNodeUndetected: 'direct',
  lackedScheduler: 'lc',
  rangesWithoutEndpoints: true,
  endpointOrder: 'sorted',
  affinityOf: 'servicePort',
  affinityEnds: 'inTime',
  staleFlows: 'moved',
  olderFlows: 'moved',
  serviceGone: 'kept',
  keepsSource: false,
  flowsIn: 'process',
}

interface Running {
  readonly client: NftClient
  readonly conntrack: NetlinkConntrack
  readonly forwarder: Forwarder
  readonly proxy: InProcessProxy
}

/** The process of the test forwards, and nftables in its network namespace leads traffic to it. */
export class UserspaceUnderTest implements BackendUnderTest {
  readonly name: string
  readonly traits = userspaceTraits
  readonly countsOf = 'servicePort'
  readonly #options: Partial<ForwarderOptions>
  #running: Running | undefined

  constructor(options: Partial<ForwarderOptions> = {}) {
    this.#options = options
    const { threads = 1 } = options
    this.name = threads === 1 ? 'userspace' : `userspace with ${threads} threads`
  }

  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.stop()
    const client = openNftClient()
    const guard = new WriteGuard(client)
    const conntrack = openConntrack()
    const forwarder = createForwarder(this.#options)
    let proxy: InProcessProxy | undefined
    const backends = families.map(
      (family) =>
        new UserspaceBackend({
          family,
          forwarder,
          reach: { kind: 'redirect', client, guard },
          resync: () => void proxy?.distrust(family).catch(() => {}),
        }),
    )
    const own = { ...settings, loopbackNodePorts: this.traits.localhostNodePorts }
    proxy = new InProcessProxy(backends, own, { flows: conntrack })
    this.#running = { client, conntrack, forwarder, proxy }
    await proxy.start(objects)
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#need().proxy.update(objects)
  }

  async loseRules(family: Family): Promise<void> {
    const { client, proxy } = this.#need()
    // A late ACK would find no translation, and a stranger who resets the connection.
    await sleep(100)
    await client.deleteTable(tableFamily(family), userspaceTable, signal)
    await proxy.distrust(family)
  }

  /** Resolves when so many connections are open. */
  async connectionsAre(count: number): Promise<void> {
    const { forwarder } = this.#need()
    while (forwarder.stats().connections !== count) await sleep(5)
  }

  async forgetFlows(): Promise<void> {
    const { forwarder } = this.#need()
    while (forwarder.stats().udpSessions > 0) await sleep(20)
  }

  /** As the program that is killed: nothing drains. */
  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.proxy.stop()
    await running?.forwarder.close(0)
    running?.conntrack.close()
    running?.client.close()
  }

  async cleanup(): Promise<void> {
    const client = openNftClient()
    for (const family of families) await client.deleteTable(tableFamily(family), userspaceTable, signal)
    client.close()
  }

  #need(): Running {
    if (this.#running === undefined) throw new TypeError('not started')
    return this.#running
  }
}
