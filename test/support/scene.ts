import { writeFileSync } from 'node:fs'
import { Host } from './host.ts'
import { thisMachine } from './machine.ts'
import { ipBatch, type Link, surroundings } from './surroundings.ts'

/** The host's default gateway: no device has these addresses, permanent neighbour entries lead to the node. */
const gateway = { ipv4: '169.254.1.1', ipv6: 'fe80::1' } as const

export interface Addresses {
  readonly ipv4?: string | undefined
  readonly ipv6?: string | undefined
}

export interface HostOptions extends Addresses {
  /** Name of the node's end of the link, at most 15 bytes; default `v-NAME`. */
  readonly device?: string
}

export interface SceneOptions {
  /** No two connections of a host have the same source port, not even to different addresses; see clients.ts. */
  readonly ownPorts?: boolean
}

/**
 * A node with hosts around it: clients and pods, each in a network namespace of its own at the end of a routed veth
 * pair. The calling process's network namespace is the node, so call it inside `ownNamespace`, or inside `ownGuest`: then
 * the guest is the node, and the hosts are on the machine around it. Every packet between two hosts passes the node's
 * forward path, also between two pods and from a pod to itself.
 */
export class Scene {
  /** The node itself, for connections that start on it. */
  readonly node: Host
  readonly #hosts = new Map<string, { readonly host: Host; readonly link: Link }>()
  readonly #ownPorts: boolean
  #links = 0

  /** `node` are the node's own addresses, on its device `eth0`; the defaults are 192.0.2.10 and 2001:db8::10. */
  static async create(
    node: Addresses = { ipv4: '192.0.2.10', ipv6: '2001:db8::10' },
    { ownPorts = false }: SceneOptions = {},
  ): Promise<Scene> {
    setNodeSysctls()
    await ipBatch(thisMachine, [
      'link add eth0 type veth peer name eth0-far',
      'link set eth0-far addrgenmode none up',
      'link set eth0 addrgenmode none up',
      ...addressesOf(node).map((address) => `addr add ${address} dev eth0 ${nodad(address)}`),
    ])
    const { ipv4, ipv6 } = node
    return new Scene(await Host.start({ machine: thisMachine, name: 'node', ipv4, ipv6, ownPorts }), ownPorts)
  }

  private constructor(node: Host, ownPorts: boolean) {
    this.node = node
    this.#ownPorts = ownPorts
  }

  /** Adds a host with one address of each family it is given; the node has a route to each. */
  async addHost(name: string, { device = `v-${name}`, ...addresses }: HostOptions): Promise<Host> {
    const n = ++this.#links
    const mac = { node: linkAddress(n, 1), host: linkAddress(n, 2) }
    const own = addressesOf(addresses)
    const around = await surroundings()
    const { machine } = around
    const link: Link = { netns: name, device, mac }
    await around.link(link)
    await ipBatch(
      machine,
      [
        'link set lo up',
        'link set eth0 addrgenmode none up',
        ...own.map((address) => `addr add ${address} dev eth0 ${nodad(address)}`),
        ...own.map((address) => `neigh replace ${via(address)} lladdr ${mac.node} dev eth0 nud permanent`),
        ...own.map((address) => `route add ${everything(address)} via ${via(address)} dev eth0 onlink`),
      ],
      name,
    )
    await ipBatch(
      thisMachine,
      own.flatMap((address) => [
        `neigh replace ${bare(address)} lladdr ${mac.host} dev ${device} nud permanent`,
        `route add ${address} dev ${device}`,
      ]),
    )
    const { ipv4, ipv6 } = addresses
    const host = await Host.start({ machine, name, netns: name, device, ipv4, ipv6, ownPorts: this.#ownPorts })
    this.#hosts.set(name, { host, link })
    return host
  }

  /** Takes the host away: its process, its link and its addresses. */
  async removeHost(name: string): Promise<void> {
    const found = this.#hosts.get(name)
    if (found === undefined) return
    this.#hosts.delete(name)
    await found.host.close()
    await (await surroundings()).unlink(found.link)
  }

  /** Back to an empty namespace, for the next scene of the same process. */
  async close(): Promise<void> {
    for (const name of [...this.#hosts.keys()]) await this.removeHost(name)
    await this.node.close()
    await ipBatch(thisMachine, ['link del eth0'])
  }
}

/** Forwarding on; reverse-path filter off, as links are routed; no limit on ICMP errors, which tests count. */
const setNodeSysctls = (): void => {
  const values = {
    'ipv4/ip_forward': 1,
    'ipv4/conf/all/rp_filter': 0,
    'ipv4/conf/default/rp_filter': 0,
    'ipv4/icmp_ratemask': 0,
    'ipv6/conf/all/forwarding': 1,
    'ipv6/icmp/ratelimit': 0,
  }
  for (const [path, value] of Object.entries(values)) writeFileSync(`/proc/sys/net/${path}`, `${value}\n`)
}

const isV6 = (address: string): boolean => address.includes(':')
const addressesOf = ({ ipv4, ipv6 }: Addresses): readonly string[] => [
  ...(ipv4 === undefined ? [] : [`${ipv4}/32`]),
  ...(ipv6 === undefined ? [] : [`${ipv6}/128`]),
]
const bare = (address: string): string => address.slice(0, address.indexOf('/'))
const via = (address: string): string => (isV6(address) ? gateway.ipv6 : gateway.ipv4)
const everything = (address: string): string => (isV6(address) ? '::/0' : '0.0.0.0/0')
/** Without duplicate address detection an address can be used at once. */
const nodad = (address: string): string => (isV6(address) ? 'nodad' : '')

const linkAddress = (link: number, end: 1 | 2): string => {
  const hex = link.toString(16).padStart(4, '0')
  return `02:00:00:${hex.slice(0, 2)}:${hex.slice(2)}:0${end}`
}
