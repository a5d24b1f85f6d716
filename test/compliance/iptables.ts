import { execFileSync } from 'node:child_process'
import { IptablesBackend } from '../../src/backends/iptables/backend.ts'
import { coverLoopback } from '../../src/backends/iptables/prepare.ts'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import { type NetlinkConntrack, openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import type { Ipset } from '../../src/kernel/ipset/ipset.ts'
import { NetlinkIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { ProcSysctl } from '../../src/kernel/sysctl/proc-sysctl.ts'
import { ensureInteger } from '../../src/kernel/sysctl/sysctl.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Settings, Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { InProcessProxy } from './in-process.ts'
import { furnish, type IptablesLayout, iptablesTraits, layoutName } from './iptables-traits.ts'

const { signal } = new AbortController()

export interface IptablesOptions extends IptablesLayout {
  readonly variant: Variant
}

type Watch = ReturnType<typeof openRulesetWatch>

interface Running {
  readonly ipset: NetlinkIpset
  readonly conntrack: NetlinkConntrack
  readonly watch: Watch
  readonly proxy: InProcessProxy
}

/** iptables of one variant in the network namespace of the caller. */
export class IptablesUnderTest implements BackendUnderTest {
  readonly name: string
  readonly traits: Traits = iptablesTraits
  readonly #options: IptablesOptions
  #running: Running | undefined

  constructor(options: IptablesOptions) {
    this.#options = options
    this.name = `iptables-${options.variant} ${layoutName(options)}`
  }

  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.stop()
    const own: Settings = { ...settings, loopbackNodePorts: this.traits.localhostNodePorts }
    if (coverLoopback(own.nodePortAddresses))
      await ensureInteger(new ProcSysctl(), 'net/ipv4/conf/all/route_localnet', 1, signal)
    const ipset = new NetlinkIpset()
    let proxy: InProcessProxy | undefined
    const watch = this.#openWatch((family) => void proxy?.distrust(family).catch(() => {}))
    const conntrack = openConntrack()
    proxy = new InProcessProxy(
      families.map((family) => this.#backend(family, ipset, watch)),
      own,
      { flows: conntrack },
    )
    this.#running = { ipset, conntrack, watch, proxy }
    await proxy.start(furnish(this.#options, objects))
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#need().proxy.update(furnish(this.#options, objects))
  }

  /** As `systemctl restart firewalld` does it; sets lose their members. */
  async loseRules(family: Family): Promise<void> {
    const program = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${this.#options.variant}`
    for (const table of ['mangle', 'filter', 'nat']) {
      for (const command of ['-F', '-X']) execFileSync(program, ['-w', '5', '-t', table, command])
    }
    if (this.#options.ipset) execFileSync('ipset', ['flush'])
    await this.#need().proxy.distrust(family)
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.proxy.stop()
    running?.watch.close()
    running?.conntrack.close()
    running?.ipset.close()
  }

  async cleanup(): Promise<void> {
    const ipset = new NetlinkIpset()
    const watch = this.#openWatch(() => {})
    for (const family of families) await this.#backend(family, ipset, watch).cleanup(signal)
    watch.close()
    ipset.close()
  }

  #openWatch(onForeignWrite: (family: Family) => void): Watch {
    return openRulesetWatch({ variant: this.#options.variant, families, onForeignWrite })
  }

  #backend(family: Family, ipset: Ipset, watch: Watch): IptablesBackend {
    const { variant, ...layout } = this.#options
    const settings: IptablesSettings = {
      family,
      localhostNodePorts: this.traits.localhostNodePorts && family === 'IPv4',
      dropInvalid: true,
      randomFully: true,
      nfacct: false,
      ...layout,
    }
    const iptables = new IptablesClient(variant, family, { witness: watch })
    return new IptablesBackend({ family, settings, iptables, ipset, watch })
  }

  #need(): Running {
    if (this.#running === undefined) throw new TypeError('not started')
    return this.#running
  }
}
