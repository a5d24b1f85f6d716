import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { IpvsBackend, ipvsCapabilities } from '../../src/backends/ipvs/backend.ts'
import { prepareIpvs } from '../../src/backends/ipvs/prepare.ts'
import { ProblemReports } from '../../src/backends/ipvs/problem-reports.ts'
import type { IpvsSettings } from '../../src/backends/ipvs/settings.ts'
import { concernsUs } from '../../src/backends/kube-chains.ts'
import { type NetlinkConntrack, openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import { openIpset } from '../../src/kernel/ipset/netlink-ipset.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import { openRulesetWatch } from '../../src/kernel/iptables/open-ruleset-watch.ts'
import { NetlinkIpvs } from '../../src/kernel/ipvs/netlink-ipvs.ts'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { ProcSysctl } from '../../src/kernel/sysctl/proc-sysctl.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { systemClock } from '../../src/sync/clock.ts'
import type { Settings, Traits } from '../flows/flow.ts'
import type { Manifest } from '../flows/objects.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { InProcessProxy } from './in-process.ts'

const { signal } = new AbortController()
const variant = 'legacy'

export const ipvsTraits: Traits = {
  ...ipvsCapabilities,
  // The node has the address: what no virtual server takes is the node's own, which refuses it.
  unusedPorts: 'refused',
  unusedClusterIPs: 'routed',
  pings: 'routed',
  externalFromNode: 'refused',
  // External addresses, too.
  unusedExternalPorts: 'refused',
  // IPVS translates behind the rules that know the cluster IP; what the node sends looks alike then, whatever it is for.
  fromNodeUndetected: 'masqueraded',
  // The kernel of guests does not have it.
  lackedScheduler: 'twos',
  rangesWithoutEndpoints: true,
  endpointOrder: 'asAdded',
  affinityOf: 'address',
  // A template waits for those that it made, and the kernel keeps a closed connection for two minutes.
  affinityEnds: 'withConnections',
  staleFlows: 'moved',
  olderFlows: 'moved',
  // Its address must be free at once: the next to have it may be another machine.
  serviceGone: 'cut',
  keepsSource: true,
  flowsIn: 'kernel',
}

interface Running {
  readonly proxy: InProcessProxy
  readonly close: () => void
}

export interface IpvsOptions extends Partial<IpvsSettings> {
  /** How long the kernel remembers a UDP flow; 300 unless given. */
  readonly udpSeconds?: number
  /** What is in the kernel stays for the next start, which takes a guest a third of the time. */
  readonly keep?: boolean
}

/** IPVS in the kernel of a guest, with legacy iptables. */
export class IpvsUnderTest implements BackendUnderTest {
  readonly name = 'ipvs'
  readonly traits = ipvsTraits
  readonly countsOf = 'address'
  readonly #keep: boolean
  readonly #udpSeconds: number
  readonly #over: Partial<IpvsSettings>
  #running: Running | undefined

  constructor({ keep = false, udpSeconds = 0, ...over }: IpvsOptions = {}) {
    this.#keep = keep
    this.#udpSeconds = udpSeconds
    this.#over = over
  }

  async start(objects: readonly Manifest[], settings: Settings): Promise<void> {
    await this.stop()
    let proxy: InProcessProxy | undefined
    const { backends, conntrack, close } = await this.#open((family) => void proxy?.distrust(family).catch(() => {}))
    proxy = new InProcessProxy(backends, settings, { flows: conntrack })
    this.#running = { proxy, close }
    await proxy.start(objects)
  }

  async update(objects: readonly Manifest[]): Promise<void> {
    await this.#need().proxy.update(objects)
  }

  /**
   * All that established connections do not need. Without virtual servers those that drain would go; without addresses what
   * comes meanwhile would meet a stranger, who resets the connection.
   */
  async loseRules(family: Family): Promise<void> {
    const program = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`
    for (const table of ['mangle', 'filter', 'nat'])
      for (const command of ['-F', '-X']) execFileSync(program, ['-w', '5', '-t', table, command])
    execFileSync('ipset', ['flush'])
    for (const one of families) await this.#need().proxy.distrust(one)
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.proxy.stop()
    running?.close()
  }

  /** Resolves when so many connections are open. */
  async connectionsAre(count: number): Promise<void> {
    const open = (): number =>
      [...execFileSync('ipvsadm', ['-Ln'], { encoding: 'utf8' }).matchAll(/ {2,}(\d+) +\d+ *$/gm)]
        .map(([, active]) => Number(active))
        .reduce((sum, active) => sum + active, 0)
    while (open() !== count) await sleep(20)
  }

  /** Those of UDP, after as long as they are remembered. */
  async forgetFlows(): Promise<void> {
    while (/^UDP/m.test(execFileSync('ipvsadm', ['-Lnc'], { encoding: 'utf8' }))) await sleep(100)
  }

  async cleanup(): Promise<void> {
    if (!this.#keep) await this.remove()
  }

  async remove(): Promise<void> {
    const { backends, close } = await this.#open(() => {})
    for (const backend of backends) await backend.cleanup(signal)
    close()
  }

  async #open(onDrift: (family: Family) => void) {
    const ipvs = new NetlinkIpvs()
    const ipset = openIpset()
    const route = new NetlinkRoute()
    const conntrack: NetlinkConntrack = openConntrack()
    const watch = openRulesetWatch({ variant, families, onForeignWrite: onDrift, concerns: concernsUs })
    await prepareIpvs(
      {
        ...{ ipvs, sysctl: new ProcSysctl(), scheduler: 'rr', strictArp: false },
        ...{ timeouts: { tcp: 0, tcpFin: 0, udp: this.#udpSeconds }, onError: raise },
      },
      signal,
    )
    const problems = new ProblemReports(() => {})
    const backends = families.map((family) => {
      const settings: IpvsSettings = {
        ...{ family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully: true },
        ...this.#over,
      }
      const iptables = new IptablesClient(variant, family, { witness: watch })
      return new IpvsBackend({
        ...{ family, settings, ipvs, ipset, route, iptables, watch },
        ...{ timers: systemClock, problems, onDrift, onError: console.error },
      })
    })
    const close = (): void => {
      for (const part of [...backends, watch, conntrack, ipset, ipvs]) part.close()
    }
    return { backends, conntrack, close }
  }

  #need(): Running {
    if (this.#running === undefined) throw new TypeError('not started')
    return this.#running
  }
}

const raise = (error: unknown): never => {
  throw error
}
