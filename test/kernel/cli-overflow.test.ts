/**
 * The program hears of more than its sockets can hold: it is stopped while the kernel has to tell of ten thousands of changes,
 * those that matter among them. What it did not hear of it finds out.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { drops } from '../support/netlink-drops.ts'
import { node, service, slice } from './cli-manifests.ts'
import { elements, endpoints, eventually, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const nodeAddress = '192.0.2.10'
sh(
  `ip link set lo up; ip link add eth0 type veth peer name eth0-far; ip addr add ${nodeAddress}/24 dev eth0; ip link set eth0 up`,
)
const folder = temporaryFolder()
const items = [
  node('node-1', { addresses: [nodeAddress], podCIDRs: ['10.244.0.0/24'] }),
  service('web', { ip: '10.96.0.1', nodePort: 30_001 }),
  slice('web', ['10.244.0.1']),
]
writeFileSync(join(folder, 'cluster.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))

const floods = {
  route: () => {
    const addresses = Array.from({ length: 8_000 }, (_, i) => `10.9.${i >> 8}.${i & 255}/32 dev eth0`)
    for (const verb of ['add', 'del'])
      sh('ip -batch -', addresses.map((address) => `addr ${verb} ${address}\n`).join(''))
  },
  netfilter: () => {
    const numbers = Array.from({ length: 150_000 }, (_, i) => i).join()
    sh('nft -f -', 'add table inet foreign; add set inet foreign s { type mark; }')
    for (const verb of ['add', 'delete', 'add']) sh('nft -f -', `${verb} element inet foreign s { ${numbers} }`)
    sh('nft delete table inet foreign')
  },
} as const satisfies Readonly<Record<string, () => void>>

t.test('what it did not hear of, it finds out', async (t) => {
  const weir = await startWeir(t, [
    ...['run', '--proxy-mode=nftables', '--hostname-override=node-1', '--manifests', folder],
    '--nodeport-addresses=192.0.2.0/24',
  ]).serving()
  const served = '10.96.0.1 tcp 80 0 10.244.0.1 8080'
  await eventually(endpoints, (found) => found?.join() === served)
  await eventually(
    () => elements('nodeport-ips'),
    (found) => found?.join() === nodeAddress,
  )

  weir.signal('SIGSTOP')
  floods.route()
  sh('ip addr add 192.0.2.11/24 dev eth0; ip addr add 192.0.2.12/24 dev eth0; ip addr del 192.0.2.12/24 dev eth0')
  floods.netfilter()
  sh('nft flush map ip weir endpoints')
  t.same(endpoints(), [])
  for (const family of ['route', 'netfilter'] as const)
    t.ok(drops(weir.pid, family) > 0, `messages of ${family} are lost`)

  weir.signal('SIGCONT')
  t.same(await eventually(endpoints, (found) => found?.join() === served), [served])
  const addresses = [nodeAddress, '192.0.2.11']
  t.same(
    await eventually(
      () => elements('nodeport-ips'),
      (found) => found?.join() === addresses.join(),
    ),
    addresses,
  )

  sh('nft flush map ip weir endpoints; ip addr del 192.0.2.11/24 dev eth0')
  await eventually(endpoints, (found) => found?.join() === served)
  await eventually(
    () => elements('nodeport-ips'),
    (found) => found?.join() === nodeAddress,
  )
  t.pass('and goes on hearing')
  t.equal((await weir.end()).status, 0)
})
