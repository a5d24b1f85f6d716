import { execFileSync } from 'node:child_process'
import t from 'tap'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'

ownNamespace(import.meta.url)

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7', ipv6: '2001:db8:1::7' })
const pod = await scene.addHost('pod-1', { ipv4: '10.244.0.1', ipv6: '2001:db8:2::1' })
const other = await scene.addHost('pod-2', { ipv4: '10.244.0.2', ipv6: '2001:db8:2::2' })
for (const host of [pod, other])
  for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) await host.listen(protocol, 8080)

const families = [
  { family: 'IPv4', address: '10.244.0.1', peer: '198.51.100.7' },
  { family: 'IPv6', address: '2001:db8:2::1', peer: '2001:db8:1::7' },
] as const

for (const protocol of ['TCP', 'UDP', 'SCTP'] as const)
  for (const { family, address, peer } of families)
    t.test(`${protocol} over ${family} reaches a pod, which sees the client`, async (t) => {
      const outcomes = await client.connect({ protocol, address, port: 8080, count: 20 })
      t.equal(outcomes.length, 20)
      for (const outcome of outcomes) t.match(outcome, { kind: 'answered', name: 'pod-1', peer })
    })

t.test('a pod reaches another pod, and the node reaches a pod', async (t) => {
  t.match(await pod.ask({ address: '10.244.0.2', port: 8080 }), { kind: 'answered', name: 'pod-2', peer: '10.244.0.1' })
  t.match(await scene.node.ask({ address: '10.244.0.2', port: 8080 }), { kind: 'answered', peer: '192.0.2.10' })
  t.match(await scene.node.ask({ address: '2001:db8:2::2', port: 8080 }), { kind: 'answered', peer: '2001:db8::10' })
})

t.test('the source can be chosen', async (t) => {
  for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
    const outcome = await client.ask({ protocol, address: '10.244.0.1', port: 8080, sourcePort: 40_001 })
    t.match(outcome, { kind: 'answered', peer: '198.51.100.7', peerPort: 40_001 })
  }
})

t.test('nobody listening is refused', async (t) => {
  for (const { address } of families)
    for (const protocol of ['TCP', 'UDP'] as const)
      t.same(await client.ask({ protocol, address, port: 9 }), { kind: 'refused' }, `${protocol} ${address}`)
})

t.test("the node's ruleset decides: reject is refused, drop is a timeout, DNAT and masquerade show", async (t) => {
  execFileSync('nft', ['-f', '-'], {
    input: `
      table inet probe {
        chain forward {
          type filter hook forward priority 0
          ip daddr 10.244.0.2 reject
          ip6 daddr 2001:db8:2::2 drop
        }
        chain pre { type nat hook prerouting priority dstnat; ip daddr 203.0.113.1 dnat ip to 10.244.0.1; }
        chain post { type nat hook postrouting priority srcnat; ct original ip daddr 203.0.113.1 masquerade; }
      }`,
  })
  t.teardown(() => execFileSync('nft', ['delete', 'table', 'inet', 'probe']))
  for (const protocol of ['TCP', 'UDP', 'SCTP'] as const) {
    const probe = { protocol, port: 8080, timeoutMs: 200 }
    const rejected = await client.connect({ ...probe, address: '10.244.0.2', count: 20 })
    t.same(new Set(rejected.map(({ kind }) => kind)), new Set(['refused']), `${protocol}: all 20 errors arrive`)
    t.same(await client.ask({ ...probe, address: '2001:db8:2::2' }), { kind: 'timeout' }, `${protocol}: dropped`)
    const through = await client.ask({ ...probe, address: '203.0.113.1' })
    t.match(through, { kind: 'answered', name: 'pod-1', peer: '192.0.2.10' }, `${protocol}: DNAT and masquerade`)
  }
})

t.test('a held connection stays until it is released or cut', async (t) => {
  const { connection, outcome } = await client.hold({ address: '10.244.0.1', port: 8080 })
  t.match(outcome, { kind: 'answered', name: 'pod-1' })
  t.same(await client.again(connection), outcome, 'same server, same source port')
  await client.release(connection)
  t.same(await client.again(connection), { kind: 'failed', code: 'ENOTCONN' })
})

t.test('a host and its addresses can go', async (t) => {
  const guest = await scene.addHost('guest', { ipv4: '10.244.0.3', device: 'cali-guest' })
  await guest.listen('TCP', 80)
  t.match(await client.ask({ address: '10.244.0.3', port: 80 }), { kind: 'answered', name: 'guest' })
  t.match(await scene.node.run(['ip', '-br', 'link']), /cali-guest/)
  await scene.removeHost('guest')
  t.notMatch(await scene.node.run(['ip', '-br', 'link']), /cali-guest/)
  t.not((await client.ask({ address: '10.244.0.3', port: 80, timeoutMs: 200 })).kind, 'answered')
})
