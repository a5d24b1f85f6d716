import { type Net, nets } from '../flows/net.ts'
import { endpoint, type Manifest, service, slice } from '../flows/objects.ts'

const services = 3
const portsEach = 24

/** Addresses that no table uses. */
const last = (net: Net, n: number): string => (net.family === 'IPv4' ? String(200 + n) : (0x2000 + n).toString(16))
const clusterIP = (net: Net, n: number): string => net.clusterIP(1).replace(/1$/, last(net, n))
const externalIP = (net: Net, n: number): string => net.externalIP(1).replace(/1$/, last(net, n))

/**
 * Services that nobody asks for, so many that a tree of chains has branches: in each family 72 entries for cluster IPs, as
 * many for external IPs and as many for NodePorts, of TCP and UDP.
 */
export const ballast: readonly Manifest[] = nets.flatMap((net, family) =>
  Array.from({ length: services }, (_, n) => {
    const name = `ballast-${family}-${n}`
    const ports = Array.from({ length: portsEach }, (_, i) => ({
      name: `p${i}`,
      protocol: i % 3 === 0 ? 'UDP' : 'TCP',
      port: 80 + i,
      nodePort: 31_000 + 1_000 * family + 100 * n + i,
    }))
    const spec = { clusterIP: clusterIP(net, n), clusterIPs: [clusterIP(net, n)], externalIPs: [externalIP(net, n)] }
    return [
      service(net, 'TCP', { name, spec: { ...spec, ports } }),
      slice(net, 'TCP', [endpoint(net, 'remote-2')], {
        service: name,
        ports: ports.map(({ name, protocol }) => ({ name, protocol, port: 8080 })),
      }),
    ]
  }).flat(),
)

/** These objects, and what makes a tree of the rules that lead to them. */
export const withBallast = (objects: readonly Manifest[]): readonly Manifest[] => [...objects, ...ballast]
