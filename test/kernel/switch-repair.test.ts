/** The program in mode iptables: a restart over an unchanged cluster writes nothing, and a flush by others is put right at once. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { withBallast } from '../compliance/ballast.ts'
import { type IptablesLayout, layoutName } from '../compliance/iptables-traits.ts'
import { Stage } from '../compliance/stage.ts'
import { withNode } from '../compliance/with-node.ts'
import { nets, nodeName, port } from '../flows/net.ts'
import { endpoint, exposed, slice } from '../flows/objects.ts'
import { snapshot } from '../support/foreign-rules.ts'
import { ownNamespace } from '../support/namespace.ts'
import { eventually, runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const stage = await Stage.create(['TCP'])
t.teardown(() => stage.close())
const folder = temporaryFolder()

const manifests = join(folder, 'manifests')
const shims = join(folder, 'bin')
const calls = join(folder, 'calls')
mkdirSync(manifests)
mkdirSync(shims)
const objects = nets.flatMap((net, i) => [
  exposed(net, 'TCP', { name: `web-${i}`, port: { nodePort: 30080 + i } }),
  slice(net, 'TCP', [endpoint(net, 'pod-1'), endpoint(net, 'remote-1')], { service: `web-${i}` }),
])
const items = withNode(withBallast(objects))
writeFileSync(join(manifests, 'cluster.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))

/** Programs that note each call before they are what they are called. */
for (const variant of variants) {
  for (const family of ['iptables', 'ip6tables']) {
    for (const what of ['', '-save', '-restore']) {
      const name = `${family}-${variant}${what}`
      const real = sh(`command -v ${name}`).trim()
      writeFileSync(join(shims, name), `#!/bin/sh\necho ${name} "$@" >> ${calls}\nexec ${real} "$@"\n`)
      chmodSync(join(shims, name), 0o755)
    }
  }
}
const noted = (): readonly string[] => readFileSync(calls, 'utf8').split('\n').slice(0, -1)
/** Calls that may have written. To find out what a program can do it is asked with --test. */
const writes = (): readonly string[] => noted().filter((line) => !/-save\b|--version|--test/.test(line))

const start = (t: Parameters<typeof startWeir>[0], variant: Variant, { ipset, dispatch }: IptablesLayout) => {
  writeFileSync(calls, '')
  return startWeir(
    t,
    [
      ...['run', '--manifests', manifests, '--hostname-override', nodeName],
      ...['--cluster-cidr', nets.map(({ clusterCidr }) => clusterCidr).join(',')],
      ...['--proxy-mode', 'iptables', '--iptables-variant', variant],
      ...[`--iptables-ipset=${ipset}`, '--iptables-dispatch', dispatch],
    ],
    { env: { PATH: `${shims}:${process.env['PATH']}` } },
  )
}

const plain: IptablesLayout = { ipset: false, dispatch: 'flat' }
const best: IptablesLayout = { ipset: true, dispatch: 'tree' }

for (const variant of variants) {
  for (const layout of [plain, best]) {
    const name = `${variant}, ${layoutName(layout)}`

    t.test(`${name}: a restart over an unchanged cluster writes nothing`, async (t) => {
      const first = await start(t, variant, layout).serving()
      await eventually(writes, (lines) => lines.some((line) => line.includes('ip6tables')))
      await sleep(300)
      t.ok(
        writes().every((line) => /-restore .*--noflush.*--counters|-restore .*--counters.*--noflush/.test(line)),
        'nothing but iptables-restore --noflush --counters',
      )
      t.equal(writes().length, 2, `one for each family: ${writes().join('; ')}`)
      await first.end()
      const before = snapshot({ counters: true })
      const second = await start(t, variant, layout).serving()
      await eventually(noted, (lines) => lines.some((line) => line.includes('-save')))
      await sleep(500)
      t.same(writes(), [], 'no program that could write was started')
      t.same(snapshot({ counters: true }), before, 'the rules and their counters are as they were')
      await second.end()
    })

    t.test(`${name}: what others flush is back within a second`, async (t) => {
      const weir = await start(t, variant, layout).serving()
      const whole = await eventually(snapshot, (now) => /KUBE-SVC/.test(now[`ip6tables-${variant}`] ?? ''))
      for (const family of ['iptables', 'ip6tables']) {
        for (const table of ['nat', 'filter', 'mangle']) {
          for (const words of ['-F', '-F; -X']) {
            const commands = words.split('; ').map((word) => `${family}-${variant} -w 5 -t ${table} ${word}`)
            const at = performance.now()
            sh(commands.join(' && '))
            await eventually(snapshot, (now) => JSON.stringify(now) === JSON.stringify(whole), 10_000).catch(() => {})
            const took = performance.now() - at
            t.same(snapshot(), whole, `${family} -t ${table} ${words}`)
            t.ok(took < 1_000, `${family} -t ${table} ${words}: back after ${took.toFixed(0)} ms`)
          }
        }
      }
      for (const net of nets) {
        const outcome = await stage.host('client').ask({ address: net.clusterIP(1), port, timeoutMs: 5_000 })
        t.match(outcome, { kind: 'answered', name: /pod-1|remote-1/ }, 'and serves')
      }
      await weir.end()
      t.equal((await runWeir(['cleanup'])).status, 0)
    })
  }
}
