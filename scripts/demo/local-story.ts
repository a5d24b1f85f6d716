/** What `npm run demo` shows without privilege: weir in mode userspace, pods as processes, everything on loopback. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connectAll } from './local-client.ts'
import { LocalManifests } from './local-manifests.ts'
import { freePort, startPods } from './local-pods.ts'
import { addressesOf, LocalStatus, targetsOf } from './local-status.ts'
import { morePods, type Pod } from './manifests.ts'
import { sizesFrom } from './sizes.ts'
import { bar, barTable } from './table.ts'
import { Weir } from './weir.ts'

const connectionsPerAddress = 300
const connectionsPerChange = 100
const web = 'default/web:http'
const api = 'default/api:https'

const root = fileURLToPath(new URL('../../..', import.meta.url))

const say = (text: string): void => console.log(text)
const formatMs = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`

interface Parts {
  readonly manifests: LocalManifests
  readonly status: LocalStatus
  readonly weir: Weir
}

const tell = async (folder: string): Promise<void> => {
  const startedAt = performance.now()
  const podPort = await freePort(8080)
  const manifests = new LocalManifests(
    join(root, 'examples'),
    join(folder, 'manifests'),
    podPort,
    await freePort(30_080),
  )
  const pods = manifests.pods('web')
  const spare = morePods(pods, 2)
  const children = await startPods([...pods, ...spare, ...manifests.pods('api')], podPort)
  say(`${children.length} pods as processes, at 127.244.0.… port ${podPort}; no privilege, no namespaces`)
  const metricsPort = await freePort()
  const healthPort = await freePort()
  const weirStartedAt = performance.now()
  const weir = new Weir(join(root, 'dist/cli/main.js'), manifests.folder, 'weir-node', [
    ...['--proxy-mode', 'userspace', '--userspace-redirect', 'never'],
    ...['--metrics-bind-address', `127.0.0.1:${metricsPort}`, '--healthz-bind-address', `127.0.0.1:${healthPort}`],
  ])
  try {
    const status = new LocalStatus(metricsPort)
    await status.first(web, weir)
    say(
      `weir runs in mode userspace on a copy of examples/; it forwards ${formatMs(performance.now() - weirStartedAt)} after its start\n`,
    )
    const parts = { manifests, status, weir }
    const shown = await showDistribution(parts, pods)
    const scheduled = await showScheduling(parts)
    const scaled = await showScaling(parts, pods, spare)
    await weir.stop()
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    say(
      `\n${shown + scheduled + scaled} connections, every one answered by a pod that it should have reached; ${seconds} s.`,
    )
  } catch (cause) {
    say(
      `\nweir ${weir.ending === undefined ? 'was running' : `had ended (${weir.ending})`}; the end of its log:\n${weir.logTail}\n`,
    )
    throw cause
  } finally {
    await weir.stop()
    stopPods(children)
  }
}

const stopPods = (children: readonly ChildProcess[]): void => {
  for (const child of children) {
    child.removeAllListeners('exit')
    child.kill()
  }
}

const showDistribution = async ({ status, weir }: Parts, pods: readonly Pod[]): Promise<number> => {
  const port = await status.first(web, weir)
  const { cluster, node } = addressesOf(port)
  const targets = [
    { title: 'for the ClusterIP', at: cluster },
    ...(node === undefined ? [] : [{ title: 'NodePort', at: node }]),
  ]
  say(`Who answered, of ${connectionsPerAddress} connections to each address of ${web} (${port.scheduler}):\n`)
  const columns = []
  const names = pods.map(({ name }) => name)
  for (const { title, at } of targets) {
    const counts = await connectAll(at, connectionsPerAddress, names)
    columns.push({ title, subtitle: `${at.ip}:${at.port}`, counts })
  }
  say(barTable(rowsOf(pods), columns))
  if (node === undefined) say('\nIts NodePort is taken by another program: weir reports that, and serves the rest.')
  say('')
  return targets.length * connectionsPerAddress
}

const rowsOf = (pods: readonly Pod[]) => pods.map(({ name, ip }) => ({ key: name, label: `${name} ${ip}` }))

/** The same Service under three schedulers, changed by annotation while it runs. */
const showScheduling = async ({ manifests, status, weir }: Parts): Promise<number> => {
  const pods = manifests.pods('api')
  const names = pods.map(({ name }) => name)
  const { cluster } = addressesOf(await status.first(api, weir))
  say(
    `Scheduling by annotation: ${connectionsPerAddress} connections to ${api} at ${cluster.ip}:${cluster.port} each:\n`,
  )
  const columns = []
  for (const { scheduler, title, who } of [
    { scheduler: 'wrr', title: 'weights 3 and 1', who: names },
    { scheduler: 'rr', title: 'each in turn', who: names },
    { scheduler: 'fo', title: 'heaviest first', who: names.slice(0, 1) },
  ]) {
    const startedAt = performance.now()
    manifests.annotate('api', 'weir.dev/scheduler', scheduler)
    await status.until(api, startedAt, (port) => port.scheduler === scheduler)
    const counts = await connectAll(cluster, connectionsPerAddress, who)
    columns.push({ title: scheduler, subtitle: title, counts })
  }
  say(barTable(rowsOf(pods), columns))
  say('')
  return columns.length * connectionsPerAddress
}

const showScaling = async (
  { manifests, status, weir }: Parts,
  pods: readonly Pod[],
  spare: readonly Pod[],
): Promise<number> => {
  const { cluster } = addressesOf(await status.first(web, weir))
  const most = [...pods, ...spare]
  const sizes = [...sizesFrom(pods.length, most.length), ...sizesFrom(most.length, 1), ...sizesFrom(1, pods.length)]
  say(
    "Scaling. Each time: from the rename of the EndpointSlice's file until weir forwards to these endpoints and no others,",
  )
  say('as its status tells, with weir noticing the file in between:\n')
  let before = pods.length
  const times: number[] = []
  for (const size of sizes) {
    const pod = most[Math.max(size, before) - 1]
    if (pod === undefined) throw new Error(`no pod for ${size} endpoints`)
    const wanted = most.slice(0, size)
    const ips = wanted.map(({ ip }) => ip).sort()
    const startedAt = performance.now()
    manifests.setPods('web', wanted)
    const took = await status.until(web, startedAt, (port) => targetsOf(port).toSorted().join() === ips.join())
    times.push(took)
    const change = `${before} -> ${size} endpoints  ${size > before ? '+' : '-'} ${pod.name} ${pod.ip}`
    say(`${change.padEnd(42)}${bar(took, 50, 20)} ${formatMs(took).padStart(8)}`)
    await connectAll(
      cluster,
      connectionsPerChange,
      wanted.map(({ name }) => name),
    )
    before = size
  }
  const sorted = times.toSorted((a, b) => a - b)
  say(
    `\n${times.length} changes: median ${formatMs(sorted[Math.floor(sorted.length / 2)] ?? 0)}, longest ${formatMs(sorted.at(-1) ?? 0)}.`,
  )
  say(`After each change, ${connectionsPerChange} connections: every pod that should answer did, no other.`)
  return sizes.length * connectionsPerChange
}

const folder = mkdtempSync(join(tmpdir(), 'weir-demo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const [name, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.on(name, () => process.exit(status))
try {
  await tell(folder)
  process.exit(0)
} catch (cause) {
  console.error(`The demo failed: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exit(1)
}
