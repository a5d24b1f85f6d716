import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Host } from '../support/host.ts'
import type { Outcome } from '../support/host-protocol.ts'
import { ownNamespace } from '../support/namespace.ts'
import { Scene } from '../support/scene.ts'
import { service, slice, writeManifests } from './cli-manifests.ts'
import { endpoints, eventually, runWeir, services, sh, startWeir, temporaryFolder } from './cli-program.ts'
import { kubeProxyRules, kubeProxyTables } from './takeover-fixture.ts'

ownNamespace(import.meta.url)

// What the rules of the fixture serve.
const target = { address: '10.96.0.10', port: 80 }
const pods = ['10.244.0.2', '10.244.0.3', '10.244.1.2']

const scene = await Scene.create()
t.teardown(() => scene.close())
const client = await scene.addHost('client', { ipv4: '198.51.100.7' })
for (const [i, ipv4] of pods.entries()) await (await scene.addHost(`pod-${i}`, { ipv4 })).listen('TCP', 80)
// Without rules a packet of the node's own leads nowhere, but it does leave.
sh('ip route add 10.96.0.0/16 dev eth0')

const folder = temporaryFolder()
const manifests = [service('svc1', { ip: target.address }), slice('svc1', pods, { port: 80 })]
writeManifests(folder, 'svc1.yaml', manifests)
const flags = ['--proxy-mode=nftables', '--manifests', folder]
const written = pods.map((ip, slot) => `${target.address} tcp 80 ${slot} ${ip} 80`)

/** Connections of `host` that needed more than one SYN since its namespace exists. */
const synsLost = async (host: Host): Promise<number> =>
  Number(/TcpExtTCPSynRetrans\s+(\d+)/.exec(await host.run(['nstat', '-asz', 'TcpExtTCPSynRetrans']))?.[1])

/** Opens a connection every 10 ms, from outside and from the node in turn, until it is told to stop. */
class Traffic {
  readonly #outcomes: Promise<Outcome>[] = []
  readonly #timer: NodeJS.Timeout
  readonly #lostBefore: Promise<readonly number[]>
  readonly #hosts = [client, scene.node]

  constructor() {
    this.#lostBefore = Promise.all(this.#hosts.map(synsLost))
    this.#timer = setInterval(() => {
      const host = this.#hosts[this.#outcomes.length % 2] ?? client
      this.#outcomes.push(host.ask({ ...target, timeoutMs: 10_000 }))
    }, 10)
  }

  /** Asserts that every one was answered, at the first attempt. */
  async end(t: Test): Promise<void> {
    clearInterval(this.#timer)
    const outcomes = await Promise.all(this.#outcomes)
    const lost = outcomes.filter(({ kind }) => kind !== 'answered')
    t.same(lost, [], `none of ${outcomes.length} connections is lost`)
    t.ok(outcomes.length > 50, 'there was traffic')
    t.same(await Promise.all(this.#hosts.map(synsLost)), await this.#lostBefore, 'nor is a single SYN')
  }
}

/** A connection from each side that has to survive: it stays the same one, to the same pod. */
const held = async (): Promise<(t: Test) => Promise<void>> => {
  const all = await Promise.all([client, scene.node].map(async (host) => ({ host, ...(await host.hold(target)) })))
  return async (t) => {
    for (const { host, connection, outcome } of all) {
      t.equal(outcome.kind, 'answered')
      t.same(await host.again(connection), outcome, `an established connection of ${host.name} goes on`)
      await host.release(connection)
    }
  }
}

const leftovers = {
  'iptables-legacy': () => sh('iptables-legacy-restore --noflush', kubeProxyRules('IPv4', 'iptables')),
  'iptables-nft': () => sh('iptables-nft-restore --noflush', kubeProxyRules('IPv4', 'iptables')),
  nftables: () => {
    sh('nft -f -', kubeProxyTables)
    // The fixture serves what comes from outside.
    sh(
      "nft add chain ip kube-proxy out '{ type nat hook output priority -100; }'; nft add rule ip kube-proxy out jump services",
    )
  },
} as const

for (const [name, leave] of Object.entries(leftovers)) {
  t.test(`taking over from kube-proxy: ${name}`, async (t) => {
    await runWeir(['cleanup'])
    leave()
    t.match(await client.ask(target), { kind: 'answered' }, 'kube-proxy serves')
    const survives = await held()
    const traffic = new Traffic()
    const weir = startWeir(t, flags)
    await weir.says(/removed what kube-proxy had left/)
    await sleep(300)
    await traffic.end(t)
    await survives(t)
    t.same(endpoints(), written)
    t.notMatch(sh('nft list tables; iptables-nft-save; iptables-legacy-save'), /KUBE-SVC|kube-proxy/)
    t.equal(weir.lines(/^[WE]/).length, 0, weir.log)
  })
}

const isWhole = (): Promise<unknown> =>
  eventually(endpoints, (found) => JSON.stringify(found) === JSON.stringify(written))

/** Every chain of our table with its rules, by name. Handles and the order of the chains are none of its business. */
const rules = (): Readonly<Record<string, string>> => {
  const table = /^table ip weir {\n(.*?)^}/ms.exec(sh('nft list chains ip'))?.[1] ?? ''
  const names = [...table.matchAll(/^\tchain (\S+) {/gm)].map(([, name = '']) => name).sort()
  return Object.fromEntries(names.map((name) => [name, sh(`nft -s list chain ip weir '${name}'`)]))
}

t.test('a restart interrupts nothing', async (t) => {
  await (await startWeir(t, flags).serving()).end()
  await isWhole()
  const before = rules()
  const survives = await held()
  const traffic = new Traffic()
  const weir = await startWeir(t, flags, {})
    .serving()
    .catch(() => undefined)
  await weir?.end('SIGKILL')
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const weir = await startWeir(t, flags).serving()
    await sleep(200)
    const { status, killer } = await weir.end(signal)
    t.same([status, killer], signal === 'SIGTERM' ? [0, null] : [null, signal])
    await sleep(100)
    t.same(endpoints(), written, `after ${signal} the rules stay`)
  }
  await startWeir(t, flags).serving()
  await sleep(200)
  await traffic.end(t)
  await survives(t)
  t.same(endpoints(), written)
  t.same(rules(), before)
})

t.test('killed at any moment, it is repaired by the next start', async (t) => {
  const traffic = new Traffic()
  const extra = (i: number): void =>
    writeManifests(folder, 'extra.yaml', [
      ...Array.from({ length: 40 }, (_, n) => service(`extra-${i}-${n}`, { ip: `10.97.${i}.${n}` })),
      ...Array.from({ length: 40 }, (_, n) => slice(`extra-${i}-${n}`, ['10.244.0.2'])),
    ])
  for (let i = 0; i < 6; i++) {
    const weir = startWeir(t, flags)
    // From the middle of its start to just after its first writes.
    await Promise.race([sleep(150 + 60 * i), weir.ended])
    extra(i)
    await sleep(10 * i)
    await weir.end('SIGKILL')
  }
  await traffic.end(t)
  sh(`nft delete element ip weir endpoints '{ 10.96.0.10 . tcp . 80 . 1, 10.96.0.10 . tcp . 80 . 2 }'
    nft add element ip weir endpoints '{ 10.96.0.10 . tcp . 80 . 2 : 10.244.9.9 . 80, 10.96.0.10 . tcp . 80 . 9 : 10.244.0.9 . 80 }'`)
  sh('nft add chain ip weir stranger; nft flush chain ip weir masquerading; nft flush chain ip weir filter-forward')
  rmSync(`${folder}/extra.yaml`)
  const weir = await startWeir(t, flags).serving()
  await isWhole()
  t.same(services(), [`${target.address} tcp 80`], 'nothing is left of what came and went')
  await eventually(
    () => sh('nft list chains ip'),
    (found) => !found.includes('stranger'),
  )
  const repaired = rules()
  t.equal((await weir.end()).status, 0)
  await runWeir(['cleanup'])
  await runWeir([...flags, '--once'])
  t.same(repaired, rules(), 'the rules are as after a fresh start')
})
