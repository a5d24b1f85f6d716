/** Whatever goes wrong, or whoever meddles: what is wanted is in the kernel afterwards. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { run } from '../../src/kernel/exec/run.ts'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient, type IptablesClientOptions } from '../../src/kernel/iptables/iptables-client.ts'
import { ownNamespace } from '../support/namespace.ts'
import { cluster, drop, plain, withEndpoints } from './sync-cluster.ts'
import { dumpRules } from './sync-iptables-dump.ts'
import type { RuleKernel } from './sync-iptables-kernel.ts'
import { chainOf, meddlings } from './sync-iptables-meddling.ts'
import { closeKernels, kernels, start, wantedFor } from './sync-iptables-process.ts'
import { layoutName, layouts } from './sync-iptables-rig.ts'
import { iptables, restore, wipeRules } from './sync-iptables-tools.ts'

ownNamespace(import.meta.url)
t.teardown(closeKernels)

const many = Array.from({ length: 40 }, (_, i) => plain(20 + i, 2)).flat()
const all = [...cluster, ...many]

const clients = (variant: Variant, options: IptablesClientOptions): RuleKernel => ({
  iptables: {
    IPv4: new IptablesClient(variant, 'IPv4', options),
    IPv6: new IptablesClient(variant, 'IPv6', options),
  },
  ipset: kernels[variant].ipset,
})

/** Another program that has the xtables lock until the answer is called. */
const holdLock = async (): Promise<() => Promise<void>> => {
  writeFileSync('/run/xtables.lock', '')
  const holder = spawn('flock', ['/run/xtables.lock', 'sh', '-c', 'echo held; read _'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  return async () => {
    const closed = once(holder, 'close')
    holder.stdin.end()
    await closed
  }
}

t.test('the lock is held for longer than anyone waits', async (t) => {
  const wanted = await wantedFor('legacy', [...cluster, ...plain(21, 4)])
  const { rig } = start('legacy', [...cluster, ...plain(21)], {}, clients('legacy', { lockSeconds: 1 }))
  await rig.mustSync()
  const release = await holdLock()
  rig.apply(...plain(21, 4))
  t.match(await rig.sync(), { code: 'locked', message: /another app is currently holding the xtables lock/i })
  t.match(rig.of('failed'), [
    { family: 'IPv4', code: 'locked', kind: 'partial', retryInMs: 50 },
    { family: 'IPv6', code: 'locked', kind: 'partial' },
  ])
  t.match(await rig.sync(), { code: 'locked' })
  t.equal(rig.of('failed').length, 4, 'counted')
  await release()
  await rig.mustSync()
  t.same(await dumpRules(kernels.legacy), wanted, 'nothing is lost')
  t.same(rig.of('problem'), [], 'and no Service is blamed')
  await wipeRules('legacy')
})

for (const variant of variants)
  for (const layout of layouts.filter(({ dispatch }) => dispatch === 'tree'))
    t.test(`${variant}, ${layoutName(layout)}: the program is killed at any moment`, async (t) => {
      const wanted = await wantedFor(variant, all, layout)
      let killed = 0
      for (let ms = 0; ms < 24; ms += 3) {
        await wipeRules(variant)
        const deadly: typeof run = (command, options) =>
          command[0]?.endsWith('-restore') === true
            ? run(['timeout', '-s', 'KILL', `0.0${String(ms + 1).padStart(2, '0')}`, ...command], options)
            : run(command, options)
        let mortal = false
        const kernel = clients(variant, { run: (...args) => (mortal ? deadly : run)(...args) })
        const { rig } = start(variant, cluster, layout, kernel)
        await rig.mustSync()
        rig.apply(...many)
        mortal = true
        if ((await rig.sync()) !== undefined) killed++
        mortal = false
        for (let tries = 0; (await rig.sync()) !== undefined; tries++) if (tries > 3) throw new Error('does not settle')
        t.same(await dumpRules(kernels[variant]), wanted, `killed after ${ms + 1} ms`)
      }
      t.comment(`${killed} syncs failed`)
      t.ok(killed > 0)
      await wipeRules(variant)
    })

for (const variant of variants) {
  t.test(`${variant}: what others do to our rules is put right`, async (t) => {
    const wanted = await wantedFor(variant, all)
    const { rig } = start(variant, all)
    await rig.mustSync()
    for (const { what, commands } of meddlings(variant, 'ns/plain-33')) {
      for (const command of commands) iptables(variant, 'IPv4', command)
      t.notSame(await dumpRules(kernels[variant]), wanted, `${what}: there it is`)
      const before = rig.told.length
      for (const family of rig.families) family.distrust('elementsChanged')
      await rig.mustSync()
      t.same(await dumpRules(kernels[variant]), wanted, what)
      const told = rig.told.slice(before)
      t.match(
        told.flatMap((each) => (each.name === 'driftRepaired' ? [each.event] : [])),
        [{ family: 'IPv4', reason: 'elementsChanged' }],
        `${what}: and told`,
      )
    }
    await wipeRules(variant)
  })

  t.test(`${variant}: others meddle between plan and restore`, async (t) => {
    const next = [...all, ...withEndpoints('plain-33', 33, 4), ...plain(90), drop('ns/plain-34')]
    const wanted = await wantedFor(variant, next)
    let refused = 0
    const { length } = await (async () => {
      const { rig } = start(variant, all)
      await rig.mustSync()
      return meddlings(variant, 'ns/plain-33')
    })()
    for (let i = 0; i < length; i++) {
      await wipeRules(variant)
      const { rig, ipv4 } = start(variant, all)
      await rig.mustSync()
      const meddling = meddlings(variant, 'ns/plain-33')[i]
      ipv4.iptables.beforeRestore = () => {
        ipv4.iptables.beforeRestore = () => {}
        for (const command of meddling?.commands ?? []) iptables(variant, 'IPv4', command)
      }
      rig.apply(...next)
      if ((await rig.sync()) !== undefined) {
        refused++
        await rig.mustSync()
      }
      // What the restore could live with is noticed by whoever watches.
      for (const family of rig.families) family.distrust('elementsChanged')
      await rig.mustSync()
      t.same(await dumpRules(kernels[variant]), wanted, `${meddling?.what}`)
      t.same(rig.of('problem'), [], 'and no Service is blamed')
    }
    t.comment(`${refused} of ${length} were refused`)
    t.ok(refused > 1)
    await wipeRules(variant)
  })

  t.test(`${variant}: somebody else's rule leads to a chain that is to go`, async (t) => {
    const { rig } = start(variant, all)
    await rig.mustSync()
    const chain = chainOf(variant, 'ns/plain-33')
    iptables(variant, 'IPv4', '-t nat -N MINE')
    iptables(variant, 'IPv4', `-t nat -A MINE -d 9.9.9.9 -j ${chain}`)
    const wanted = async (): Promise<unknown> => {
      const { chains } = await dumpRules(kernels[variant])
      return Object.fromEntries(
        Object.entries(chains).filter(([name]) => !name.endsWith(' MINE') && !name.endsWith(chain)),
      )
    }
    rig.apply(drop('ns/plain-33'))
    for (let tries = 0; (await rig.sync()) !== undefined; tries++) if (tries > 2) throw new Error('does not settle')
    const refusals = rig.of('failed').length
    t.same((await dumpRules(kernels[variant])).chains[`IPv4 nat ${chain}`], [], 'it is empty')
    t.same(rig.of('problem'), [], 'and no Service is blamed')
    rig.apply(...withEndpoints('plain-21', 21, 3))
    await rig.mustSync()
    for (const family of rig.families) family.distrust('periodic')
    await rig.mustSync()
    t.match(rig.of('applied').slice(-2), [
      { added: 0, removed: 0 },
      { added: 0, removed: 0 },
    ])
    t.equal(rig.of('failed').length, refusals, 'it blocks nothing')

    rig.apply(...plain(33, 2))
    await rig.mustSync()
    t.not((await dumpRules(kernels[variant])).chains[`IPv4 nat ${chain}`]?.length, 0, 'it is used again')
    rig.apply(drop('ns/plain-33'))
    for (let tries = 0; (await rig.sync()) !== undefined; tries++) if (tries > 2) throw new Error('does not settle')
    const left = await wanted()
    iptables(variant, 'IPv4', '-t nat -F MINE')
    for (const family of rig.families) family.distrust('periodic')
    await rig.mustSync()
    t.notOk(`IPv4 nat ${chain}` in (await dumpRules(kernels[variant])).chains, 'it goes when the rule is gone')
    t.same(await wanted(), left)
    await wipeRules(variant)
  })

  t.test(`${variant}: jumps that somebody moved stay where they are`, async (t) => {
    const { rig } = start(variant, cluster)
    await rig.mustSync()
    await restore(
      variant,
      'IPv4',
      '*filter\n-I FORWARD -s 198.51.100.0/24 -j DROP\nCOMMIT\n*nat\n-I PREROUTING -d 9.9.9.9 -j ACCEPT\nCOMMIT\n',
    )
    const before = await dumpRules(kernels[variant])
    for (const family of rig.families) family.distrust('elementsChanged')
    await rig.mustSync()
    t.match(rig.of('applied').slice(-2), [
      { added: 0, removed: 0 },
      { added: 0, removed: 0 },
    ])
    t.same(await dumpRules(kernels[variant]), before)
    await wipeRules(variant)
  })
}
