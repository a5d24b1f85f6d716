import type { Protocol } from '../../src/model/protocol.ts'
import {
  freePort,
  ipv4,
  ipv6,
  nets,
  nodePort,
  type Place,
  type PodName,
  placeNames,
  podNames,
  podPorts,
  port,
} from '../flows/net.ts'
import { vipOnNode } from '../flows/source-ranges.ts'
import type { Host } from '../support/host.ts'
import { Scene, type SceneOptions } from '../support/scene.ts'
import { isInGuest } from '../support/uml-file.ts'
import { deviceOf } from './devices.ts'

/**
 * The scene that every table is played on: a node with two pods, two pods elsewhere, two clients, and a host behind the
 * node's default route that answers on every address no Service has. So what is refused or dropped has been refused or
 * dropped by our rules, not for want of a route or a server.
 */
export class Stage {
  readonly #scene: Scene
  readonly #hosts: ReadonlyMap<Place, Host>

  /** `protocols`: what servers are there for. SCTP ones take a noticeable share of a core. */
  static async create(protocols: readonly Protocol[], options: SceneOptions = {}): Promise<Stage> {
    const scene = await Scene.create({ ipv4: ipv4.at.node, ipv6: ipv6.at.node }, options)
    const hosts = new Map<Place, Host>([['node', scene.node]])
    for (const name of placeNames) {
      const addresses = { ipv4: ipv4.at[name], ipv6: ipv6.at[name], device: deviceOf(name) }
      hosts.set(name, await scene.addHost(name, addresses))
    }
    const stage = new Stage(scene, hosts)
    await stage.#trackConnections()
    await stage.#extendNode()
    await stage.#extendClient()
    await stage.#extendElsewhere()
    await stage.#listen(protocols)
    return stage
  }

  private constructor(scene: Scene, hosts: ReadonlyMap<Place, Host>) {
    this.#scene = scene
    this.#hosts = hosts
  }

  host(place: Place): Host {
    const host = this.#hosts.get(place)
    if (host === undefined) throw new TypeError(`no host ${place}`)
    return host
  }

  async listenOn(pod: PodName, protocol: Protocol, podPort: number): Promise<void> {
    await this.host(pod).listen(protocol, podPort)
  }

  async close(): Promise<void> {
    await this.#scene.close()
  }

  /**
   * The kernel tracks connections, and goes on translating those that it knows, for as long as some rule needs it. On a
   * node there is always one; here, while ours are gone, established connections would leak out and meet a stranger.
   */
  async #trackConnections(): Promise<void> {
    for (const command of isInGuest() ? trackInGuest : trackConnections) await this.host('node').run(command.split(' '))
  }

  /** A second address, one that is a load balancer IP as well, and a way out to `elsewhere`. */
  async #extendNode(): Promise<void> {
    // Of ICMPv6 only this reserved type is limited: a case may count on more than 50 refusals at once.
    await this.host('node').run(['sysctl', '-qw', 'net.ipv6.icmp.ratemask=255'])
    for (const { at, nodeSecond, vip, bits } of nets) {
      for (const address of [nodeSecond, vip(vipOnNode)]) {
        await this.#ip('node', `addr add ${address}/${bits} dev eth0 preferred_lft 0${bits === 128 ? ' nodad' : ''}`)
      }
      await this.#ip('node', `route add default via ${at.elsewhere} dev v-elsewhere onlink src ${at.node}`)
    }
  }

  /** A network of addresses, so that one host can be many clients. */
  async #extendClient(): Promise<void> {
    await this.host('client').run(['sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1'])
    for (const { at, crowdCidr } of nets) {
      await this.#ip('client', `route add local ${crowdCidr} dev lo`)
      await this.#ip('node', `route add ${crowdCidr} via ${at.client} dev v-client onlink`)
    }
  }

  async #extendElsewhere(): Promise<void> {
    await this.host('elsewhere').run(['sysctl', '-qw', 'net.ipv6.ip_nonlocal_bind=1'])
    for (const { elsewhere } of nets)
      for (const cidr of elsewhere) await this.#ip('elsewhere', `route add local ${cidr} dev lo`)
  }

  async #listen(protocols: readonly Protocol[]): Promise<void> {
    for (const protocol of protocols) {
      for (const pod of podNames) {
        const ports = protocol === 'SCTP' ? podPorts.slice(0, 1) : podPorts
        for (const podPort of ports) await this.host(pod).listen(protocol, podPort)
      }
      if (protocol === 'SCTP') continue
      for (const at of [port, freePort, nodePort]) await this.host('elsewhere').listen(protocol, at)
      for (const at of [podPorts[0], nodePort]) await this.host('node').listen(protocol, at)
    }
  }

  async #ip(place: Place, command: string): Promise<void> {
    const words = command.split(' ')
    await this.host(place).run(['ip', ...(command.includes(':') ? ['-6'] : []), ...words])
  }
}

const trackConnections = [
  'nft add table inet stage',
  'nft add chain inet stage tracking { type filter hook prerouting priority 300; }',
  'nft add rule inet stage tracking ct state new',
]
/** The kernel of guests has no such tables. Nobody else writes to `raw`. */
const trackInGuest = ['iptables-legacy', 'ip6tables-legacy'].map(
  (program) => `${program} -t raw -A PREROUTING -m conntrack --ctstate NEW`,
)
