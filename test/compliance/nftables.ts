import { NftablesBackend, nftCapabilities } from '../../src/backends/nftables/backend.ts'
import { nftFamily, tableName } from '../../src/backends/nftables/schema.ts'
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

interface Running {
  readonly client: NftClient
  readonly conntrack: NetlinkConntrack
  readonly backends: readonly NftablesBackend[]
  readonly proxy: InProcessProxy
}

export const nftTraits: Traits = {
  ...nftCapabilities,
  unusedPorts: 'refused',
  unusedClusterIPs: 'dropped',
  pings: 'refused',
  externalFromNode: 'refused',
  unusedExternalPorts: 'routed',
  fromNodeUndetected: 'direct',
  lackedScheduler: 'lc',
  rangesWithoutEndpoints: true,
  endpointOrder: 'sorted',
  affinityOf: 'address',
  affinityEnds: 'inTime',
  staleFlows: 'moved',
  olderFlows: 'moved',
  serviceGone: 'kept',
  keepsSource: true,
  flowsIn: 'kernel',
}

/** nftables in the network namespace of the caller. */
export class NftablesUnderTest implements BackendUnderTest {
  readonly name = 'nftables'
  readonly traits = nftTraits
  #running: Running | undefined

  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.stop()
    const client = openNftClient()
    const guard = new WriteGuard(client)
    const backends = families.map((family) => new NftablesBackend(family, client, guard))
    const conntrack = openConntrack()
    const proxy = new InProcessProxy(backends, settings, { flows: conntrack })
    this.#running = { client, conntrack, backends, proxy }
    await proxy.start(objects)
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#need().proxy.update(objects)
  }

  async loseRules(family: Family): Promise<void> {
    const { client, proxy } = this.#need()
    await client.deleteTable(nftFamily(family), tableName, signal)
    await proxy.distrust(family)
  }

  /** Removes class chains that no service uses any more, as happens a while after a change; how many. */
  async tidy(): Promise<number> {
    let removed = 0
    for (const backend of this.#need().backends) removed += await backend.tidy(signal)
    return removed
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.proxy.stop()
    running?.conntrack.close()
    running?.client.close()
  }

  async cleanup(): Promise<void> {
    const client = openNftClient()
    for (const family of families) await client.deleteTable(nftFamily(family), tableName, signal)
    client.close()
  }

  #need(): Running {
    if (this.#running === undefined) throw new TypeError('not started')
    return this.#running
  }
}
