/** Sets of the kernel grow while rules hold them, and whoever changes them is noticed. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { type SetRole, setSchema } from '../../src/backends/iptables/sets.ts'
import { noSetChanges } from '../../src/backends/rules/set-schema.ts'
import { SetStore } from '../../src/backends/rules/set-store.ts'
import { ipPort, type Member } from '../../src/kernel/ipset/member.ts'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { families } from '../../src/model/ip.ts'
import { ip, port } from '../property/track-objects.ts'
import { ownNamespace } from '../support/namespace.ts'
import { TestClock } from './sync-clock.ts'
import { cluster, nodeAddresses, plain, withEndpoints } from './sync-cluster.ts'
import { dumpRules } from './sync-iptables-dump.ts'
import { Ledger } from './sync-iptables-faults.ts'
import { closeKernels, kernels, start, wantedFor } from './sync-iptables-process.ts'
import { IptablesRig } from './sync-iptables-rig.ts'
import { ipset, iptables, wipeRules } from './sync-iptables-tools.ts'
import { never } from './sync-rig.ts'

ownNamespace(import.meta.url)
t.teardown(closeKernels)

const members = (from: number, count: number): readonly Member[] =>
  Array.from({ length: count }, (_, i) =>
    ipPort(ip(`10.${100 + ((from + i) >> 16)}.${((from + i) >> 8) & 255}.${(from + i) & 255}`), 'TCP', port(80)),
  )

/** Sends datagrams to one address, without a pause, until told to stop; says how many. */
const sender = `
const socket = require('node:dgram').createSocket('udp4')
let sent = 0
let over = false
const next = () => {
  if (over) return socket.close(() => process.stdout.write(String(sent)))
  sent++
  socket.send('x', 80, '10.96.0.1', () => setImmediate(next))
}
process.stdin.once('data', () => { over = true })
process.stdout.write('ready ')
next()
`

const packetsOf = (variant: (typeof variants)[number], chain: string): number => {
  const [, packets] =
    /^\s*(\d+)/m.exec(iptables(variant, 'IPv4', `-nvxL ${chain}`).split('\n').slice(2).join('\n')) ?? []
  return Number(packets)
}

for (const variant of variants)
  t.test(`${variant}: a rule goes on matching while its set grows`, async (t) => {
    const { ipset: kernel } = kernels[variant]
    const store = new SetStore<SetRole>(kernel, setSchema('IPv4'))
    const wanted = ipPort(ip('10.96.0.1'), 'UDP', port(80))
    await store.prepare({ ...noSetChanges(), create: ['REJECT'], add: new Map([['REJECT', [wanted]]]) }, never)
    execFileSync('ip', ['address', 'replace', '10.96.0.1/32', 'dev', 'lo'])
    iptables(variant, 'IPv4', '-N COUNT')
    iptables(variant, 'IPv4', '-A COUNT -m set --match-set WEIR-4-REJECT dst,dst')
    iptables(variant, 'IPv4', '-A OUTPUT -p udp --dport 80 -j COUNT')

    const child = spawn(process.execPath, ['-e', sender], { stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', (data) => {
      said += String(data)
    })
    await once(child.stdout, 'data')
    let grown = 0
    for (let from = 0; from < 60_000; from += 1500) {
      const before = Number(/maxelem (\d+)/.exec(ipset('list -t WEIR-4-REJECT'))?.[1])
      await store.prepare({ ...noSetChanges(), add: new Map([['REJECT', members(from, 1500)]]) }, never)
      if (Number(/maxelem (\d+)/.exec(ipset('list -t WEIR-4-REJECT'))?.[1]) > before) grown++
    }
    const closed = once(child, 'close')
    child.stdin.end('stop')
    await closed
    const sent = Number(said.replace('ready ', ''))
    t.ok(grown >= 3, `grown ${grown} times`)
    t.ok(sent > 100, `${sent} packets meanwhile`)
    t.equal(packetsOf(variant, 'COUNT'), sent, 'every packet matched')
    const header = ipset('list -t WEIR-4-REJECT')
    t.match(header, /Number of entries: 60001/)
    t.match(header, /References: 1/)
    t.equal(ipset('list -n').trim(), 'WEIR-4-REJECT', 'nothing else is left')
    await wipeRules(variant)
  })

for (const variant of variants) {
  const layout = { ipset: true }

  t.test(`${variant}: what others do to our sets is noticed by the next check and put right`, async (t) => {
    const wanted = await wantedFor(variant, cluster, layout)
    const clock = new TestClock()
    const rig = new IptablesRig({ kernel: kernels[variant], ledger: new Ledger(), layout, clock })
    rig.tracker.apply(cluster)
    rig.setAddresses(nodeAddresses)
    const stop = new AbortController()
    const ended = rig.loop.run(stop.signal, never)
    /** What the loop waits for takes its time, whatever the clock says. */
    const settled = async (condition: () => boolean): Promise<void> => {
      for (let tries = 0; !condition() && tries < 500; tries++) {
        await clock.advance(0)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    await settled(() => rig.of('applied').length >= 2)
    t.same(await dumpRules(kernels[variant]), wanted)

    const meddlings = [
      ['a set flushed', 'flush WEIR-4-CLUSTER-IP'],
      ['all sets flushed', 'flush'],
      ['a member deleted', 'del WEIR-4-LOOP-BACK 10.0.1.1,tcp:8080,10.0.1.1'],
      ['a member added', 'add WEIR-4-LB-SOURCE 203.0.113.1,tcp:80,198.51.100.0/24'],
      ['a port added', 'add WEIR-4-NP-TCP 31999'],
      ['a set of the other family flushed', 'flush WEIR-6-LOOP-BACK'],
    ] as const
    for (const [what, command] of meddlings) {
      ipset(command)
      const before = rig.told.length
      const repaired = () =>
        rig.told.slice(before).flatMap((each) => (each.name === 'driftRepaired' ? [each.event] : []))
      await clock.advance(30_000)
      const concerned = command === 'flush' ? families.length : 1
      await settled(() => repaired().length >= concerned)
      await clock.advance(0)
      t.same(await dumpRules(kernels[variant]), wanted, what)
      t.same(
        repaired().map(({ reason }) => reason),
        Array.from({ length: concerned }, () => 'periodic'),
        `${what}: and told`,
      )
    }
    const before = rig.told.length
    await clock.advance(60_000)
    await settled(() => false)
    t.same(
      rig.told.slice(before).filter(({ name }) => name === 'started' || name === 'failed'),
      [],
      'as long as nobody does anything, nothing is compared',
    )
    stop.abort()
    await clock.advance(0)
    await ended
    await wipeRules(variant)
  })

  t.test(`${variant}: what an earlier run left does no harm`, async (t) => {
    const big = [...cluster, ...plain(9, 1)]
    const wanted = await wantedFor(variant, [...big, ...withEndpoints('plain-9', 9, 200)], layout)
    ipset('create WEIR-4-GROWN hash:ip,port,ip')
    ipset('add WEIR-4-GROWN 9.9.9.9,tcp:80,9.9.9.9')
    ipset('create WEIR-4-LOOP-BACK hash:ip,port,ip maxelem 16')
    ipset('add WEIR-4-LOOP-BACK 9.9.9.9,tcp:80,9.9.9.9')
    ipset('create WEIR-4-REJECT hash:net')
    ipset('create WEIR-4-OF-NOBODY hash:ip')
    ipset('create WEIR-6-CLUSTER-IP hash:ip,port family inet')
    ipset('create of-others hash:ip')
    ipset('add of-others 9.9.9.9')
    const { rig } = start(variant, big, layout)
    await rig.mustSync()
    rig.apply(...withEndpoints('plain-9', 9, 200))
    await rig.mustSync()
    await rig.tidy()
    const { chains, sets } = await dumpRules(kernels[variant])
    t.same(chains, wanted.chains)
    t.same(sets, { ...wanted.sets, 'of-others hash:ip IPv4': ['9.9.9.9'] }, 'and others keep theirs')
    await wipeRules(variant)
  })

  t.test(`${variant}: a set that rules of others hold is not in the way of the rest`, async (t) => {
    ipset('create WEIR-4-OF-NOBODY hash:ip')
    iptables(variant, 'IPv4', '-A INPUT -m set --match-set WEIR-4-OF-NOBODY src -j DROP')
    const { rig } = start(variant, cluster, layout)
    await rig.mustSync()
    rig.apply(...withEndpoints('plain-1', 1, 5))
    await rig.mustSync()
    t.match(ipset('list -n'), /WEIR-4-OF-NOBODY/)
    iptables(variant, 'IPv4', '-D INPUT -m set --match-set WEIR-4-OF-NOBODY src -j DROP')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await rig.tidy()
    t.notMatch(ipset('list -n'), /WEIR-4-OF-NOBODY/, 'it goes with the next tidying after them')
    await wipeRules(variant)
  })
}
