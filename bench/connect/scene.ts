import { clientPod, ownNodeIP, podRange } from '../cluster/addresses.ts'
import { ipBatch, setSysctls } from '../process/netns.ts'

/** The network namespaces of one scene: a client, a node, and one that has the addresses of all pods. */
export interface Scene {
  readonly client: string
  readonly node: string
  readonly pods: string
}

const mac = { nodeToClient: '02:00:00:00:00:01', client: '02:00:00:00:00:02' } as const
const mac2 = { nodeToPods: '02:00:00:00:00:03', pods: '02:00:00:00:00:04' } as const
const gateway = '169.254.1.1'

/**
 * client ─veth─ node ─veth─ pods, with fixed neighbours, so that nothing but a connection's own packets is ever under
 * way. The client has a pod's address: a ClusterIP is reached without source NAT, as between pods.
 */
export const createScene = async (name: string): Promise<Scene> => {
  const scene = { client: `${name}-client`, node: `${name}-node`, pods: `${name}-pods` }
  const { client, node, pods } = scene
  await ipBatch([`netns add ${client}`, `netns add ${node}`, `netns add ${pods}`])
  await ipBatch(
    [
      `link add client address ${mac.nodeToClient} type veth peer name eth0 address ${mac.client} netns ${client}`,
      `link add pods address ${mac2.nodeToPods} type veth peer name eth0 address ${mac2.pods} netns ${pods}`,
      `addr add ${ownNodeIP}/32 dev lo`,
      ...['lo', 'client', 'pods'].map((device) => `link set ${device} up`),
      `neigh add ${clientPod} lladdr ${mac.client} dev client nud permanent`,
      `route add ${clientPod}/32 dev client`,
      `neigh add ${gateway} lladdr ${mac2.pods} dev pods nud permanent`,
      `route add ${podRange} via ${gateway} dev pods onlink`,
    ],
    node,
  )
  await ipBatch(leaf(mac.nodeToClient, [`addr add ${clientPod}/32 dev eth0`]), client)
  await ipBatch(leaf(mac2.nodeToPods, [`route add local ${podRange} dev lo`]), pods)
  await setSysctls(node, {
    'net.ipv4.ip_forward': 1,
    'net.ipv4.conf.all.rp_filter': 0,
    'net.ipv4.conf.pods.rp_filter': 0,
    'net.ipv4.conf.client.rp_filter': 0,
  })
  return scene
}

const leaf = (nodeMac: string, addresses: readonly string[]): readonly string[] => [
  'link set lo up',
  'link set eth0 up',
  ...addresses,
  `neigh add ${gateway} lladdr ${nodeMac} dev eth0 nud permanent`,
  `route add default via ${gateway} dev eth0 onlink`,
]

export const deleteScene = async ({ client, node, pods }: Scene): Promise<void> =>
  await ipBatch([client, node, pods].map((name) => `netns del ${name}`))
