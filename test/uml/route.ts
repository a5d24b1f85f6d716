/** For the guest: what is compared in route-script.ts, with dummy devices, and what a dummy's addresses are good for. */
import { createSocket } from 'node:dgram'
import { NetlinkRoute } from '../../src/kernel/route/netlink-route.ts'
import { parseIP } from '../../src/model/ip.ts'
import { writeComparison } from './comparison.ts'
import { type Compare, compareLinks, compareRoutes, iproute, judged } from './route-script.ts'

const { signal } = new AbortController()
const compare: Compare = writeComparison

iproute('link set lo up')
await compareLinks(true, compare)

const route = new NetlinkRoute()
await route.ensureDummy('kube-ipvs0', signal)
const addresses = ['10.96.0.1', 'fd00:96::1'].flatMap((text) => parseIP(text) ?? [])
await route.changeAddresses('kube-ipvs0', { add: addresses, remove: [] }, signal)
// At once: an address whose uniqueness is still being checked cannot be bound.
const heard = await Promise.all(
  addresses.map(
    (address) =>
      new Promise<unknown>((resolve) => {
        const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
        socket.on('error', (error) => resolve(error.message))
        socket.on('message', (message) => {
          resolve(message.toString())
          socket.close()
        })
        socket.bind(9, address, () => socket.send(`to ${address}`, 9, address))
      }),
  ),
)
compare('its addresses are the node’s, at once', heard, ['to 10.96.0.1', 'to fd00:96::1'])
compare(
  'none is tentative',
  judged('kube-ipvs0').filter((line) => line.includes('tentative')),
  [],
)
compare(
  'no route for the IPv6 address but that of local ones',
  iproute('-6 route show dev kube-ipvs0 fd00:96::/64'),
  '',
)

iproute('link add out type dummy')
iproute('link set out up')
for (const address of ['192.0.2.1/24', '2001:db8::1/64 nodad']) iproute(`addr add ${address} dev out`)
await compareRoutes(compare)
