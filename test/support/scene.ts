import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { Host } from './host.ts'

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

/**
 * A node with hosts around it: clients and pods, each in a network namespace of its own at the end of a routed veth
 * pair. The calling process's network namespace is the node, so call it inside `ownNamespace`. Every packet between
 * two hosts passes the node's forward path, also between two pods and from a pod to itself.
 */
export class Scene {
  /** The node itself, for connections that start on it. */
  readonly node: Host
  readonly #hosts = new Map<string, Host>()
  #links = 0

  /** `node` are the node's own addresses, on its device `eth0`; the defaults are 192.0.2.10 and 2001:db8::10. */
  static async create(node: Addresses = { ipv4: '192.0.2.10', ipv6: '2001:db8::10' }): Promise<Scene> {
    setNodeSysctls()
    await ipBatch([
      'link add eth0 type veth peer name eth0-far',
      'link set eth0-far addrgenmode none up',
      'link set eth0 addrgenmode none up',
      ...addressesOf(node).map((address) => `addr add ${address} dev eth0 ${nodad(address)}`),
    ])
    const { ipv4, ipv6 } = node
    return new Scene(await Host.start({ name: 'node', netns: undefined, ipv4, ipv6, device: undefined }))
  }

  private constructor(node: Host) {
    this.node = node
  }

  /** Adds a host with one address of each family it is given; the node has a route to each. */
  async addHost(name: string, { device = `v-${name}`, ...addresses }: HostOptions): Promise<Host> {
    const link = ++this.#links
    const mac = { node: linkAddress(link, 1), host: linkAddress(link, 2) }
    const own = addressesOf(addresses)
    await ipBatch([
      `netns add ${name}`,
      `link add ${device} address ${mac.node} type veth peer name eth0 address ${mac.host} netns ${name}`,
      `link set ${device} addrgenmode none up`,
    ])
    await ipBatch(
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
      own.flatMap((address) => [
        `neigh replace ${bare(address)} lladdr ${mac.host} dev ${device} nud permanent`,
        `route add ${address} dev ${device}`,
      ]),
    )
    const host = await Host.start({ name, netns: name, device, ipv4: addresses.ipv4, ipv6: addresses.ipv6 })
    this.#hosts.set(name, host)
    return host
  }

  /** Takes the host away: its process, its link and its addresses. */
  async removeHost(name: string): Promise<void> {
    const host = this.#hosts.get(name)
    if (host === undefined) return
    this.#hosts.delete(name)
    host.close()
    await ipBatch([`link del ${host.device}`, `netns del ${name}`])
  }

  /** Back to an empty namespace, for the next scene of the same process. */
  async close(): Promise<void> {
    for (const name of [...this.#hosts.keys()]) await this.removeHost(name)
    this.node.close()
    await ipBatch(['link del eth0'])
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

const execute = promisify(execFile)

/** All commands in one process of ip(8), inside `netns` when one is named. The first that fails ends it. */
const ipBatch = async (commands: readonly string[], netns?: string): Promise<void> => {
  const running = execute('ip', [...(netns === undefined ? [] : ['-n', netns]), '-batch', '-'], { timeout: 30_000 })
  running.child.stdin?.end(`${commands.join('\n')}\n`)
  await running
}
