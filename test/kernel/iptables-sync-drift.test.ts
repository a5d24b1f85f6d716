/** Whatever somebody else does to our rules is put right at once, and once; what they do to theirs is none of our business. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { variants } from '../../src/kernel/iptables/iptables.ts'
import { ownNamespace } from '../support/namespace.ts'
import { drop, plain, withEndpoints } from './sync-cluster.ts'
import { dumpRules } from './sync-iptables-dump.ts'
import { meddlings } from './sync-iptables-meddling.ts'
import { closeKernels, kernels } from './sync-iptables-process.ts'
import { ipset, iptables, restore, wipeRules } from './sync-iptables-tools.ts'
import { RunningProxy, until } from './sync-proxy.ts'

ownNamespace(import.meta.url)
t.teardown(closeKernels)

for (const variant of variants)
  t.test(variant, async (t) => {
    const running = await RunningProxy.start([
      ...['--proxy-mode=iptables', `--iptables-variant=${variant}`, '--iptables-localhost-nodeports=false'],
    ])
    t.teardown(async () => {
      await running.stop()
      await wipeRules(variant)
    })
    const kernel = kernels[variant]
    const wanted = await dumpRules(kernel)
    const is = async (): Promise<boolean> => isDeepStrictEqual(await dumpRules(kernel), wanted)
    const list = meddlings(variant, 'ns/plain-1')

    for (const { what, commands } of list) {
      const before = running.events.length
      // In one commit, so that there is one thing to put right.
      const byTable = new Map<string, string[]>()
      for (const command of commands) {
        const [, table = '', line = ''] = /^-t (\S+) (.*)$/.exec(command) ?? []
        byTable.set(table, [...(byTable.get(table) ?? []), line])
      }
      const input = [...byTable].map(([table, lines]) => `*${table}\n${lines.join('\n')}\nCOMMIT\n`).join('')
      await restore(variant, 'IPv4', input)
      const ms = await until(is, 5000)
      await sleep(200)
      const events = running.events.slice(before)
      const repairs = events.flatMap((event) => (event.name === 'driftRepaired' ? [event] : []))
      t.ok(ms < 1000, `${what}: right again after ${ms.toFixed()} ms`)
      t.ok(
        repairs.length > 0 && repairs.every(({ family, reason }) => family === 'IPv4' && reason === 'elementsChanged'),
        `${what}: told as elementsChanged`,
      )
      const syncs = events.filter((event) => event.name === 'started').length
      t.ok(syncs <= 3, `${what}: ${syncs} syncs and no more`)
      t.same(
        events.filter((event) => event.name === 'failed'),
        [],
        `${what}: nothing failed`,
      )
    }

    await t.test('what others do to their own chains', async (t) => {
      const before = running.events.length
      for (let i = 0; i < 10; i++) await restore(variant, 'IPv4', `*raw\n:X${i} - [0:0]\n-A X${i} -j ACCEPT\nCOMMIT\n`)
      ipset('create of-others hash:ip')
      await sleep(400)
      const written = running.events
        .slice(before)
        .flatMap((event) => (event.name === 'applied' ? [event.added + event.removed] : []))
      t.ok(
        written.every((count) => count === 0),
        'makes us write nothing',
      )
    })

    await t.test('in the middle of changes', async (t) => {
      const ours = await dumpRules(kernel)
      const isOurs = async (): Promise<boolean> => isDeepStrictEqual(await dumpRules(kernel), ours)
      const before = running.events.length
      const flushes = ['-F KUBE-SERVICES', '-F', '-F\n-X', '-A KUBE-POSTROUTING -j ACCEPT']
      for (let round = 0; round < 120; round++) {
        running.proxy.sink.changes(plain(20 + (round % 10), 1 + (round % 5)))
        if (round % 20 === 10)
          await restore(variant, 'IPv4', `*nat\n${flushes[(round / 10) % flushes.length] ?? '-F'}\nCOMMIT\n`)
        await sleep(5)
      }
      for (let n = 20; n < 30; n++)
        running.proxy.sink.changes([drop(`ns/plain-${n}`), ...withEndpoints(`plain-${n}`, n, 0)])
      await until(isOurs, 10_000)
      await sleep(300)
      t.ok(await isOurs(), 'everything is right in the end')
      const events = running.events.slice(before)
      t.ok(events.some((event) => event.name === 'driftRepaired'))
      t.same(
        events.filter((event) => event.name === 'problem'),
        [],
        'and no Service is blamed',
      )
      const syncs = (): number => running.events.filter((event) => event.name === 'started').length
      const soFar = syncs()
      await sleep(400)
      t.equal(syncs(), soFar, 'and then there is peace')
    })
    iptables(variant, 'IPv4', '-t raw -F')
    iptables(variant, 'IPv4', '-t raw -X')
  })
