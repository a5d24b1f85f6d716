/** What `npm run demo` shows; runs inside namespaces of its own, where this process is the node. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../test/support/host.ts'
import { outerNamespace } from '../../test/support/namespace.ts'
import { Scene } from '../../test/support/scene.ts'
import { Announcements } from './announcements.ts'
import { morePods, openManifests, type Pod, type Showcase } from './manifests.ts'
import { sizesFrom } from './sizes.ts'
import { syncTime } from './sync-time.ts'
import { bar, barTable } from './table.ts'
import { connectAll, countBy, firstAnswer } from './traffic.ts'
import { Weir } from './weir.ts'

const clientIP = '198.51.100.7'
const connectionsPerAddress = 300
const connectionsPerChange = 100
const changeLimitMs = 5_000

const root = fileURLToPath(new URL('../../..', import.meta.url))

const say = (text: string): void => console.log(text)
const formatMs = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`

const tell = async (): Promise<void> => {
  const startedAt = performance.now()
  // /run is private to this demo and vanishes with it.
  const show = openManifests(join(root, 'examples'), mkdtempSync('/run/weir-demo-'))
  const spare = morePods(show.pods, 3)
  const scene = await Scene.create({ ipv4: show.nodeIP, ipv6: show.nodeIPv6 })
  const client = await scene.addHost('client', { ipv4: clientIP })
  for (const [i, { name, ip }] of [...show.pods, ...spare].entries()) {
    const host = await scene.addHost(name, { ipv4: ip, device: `pod${i}` })
    await host.listen('TCP', show.podPort)
  }
  say(`node ${show.nodeName} ${show.nodeIP}, client ${clientIP}, ${show.pods.length} pods of ${show.service} (HTTP)`)

  const weirStartedAt = performance.now()
  const weir = new Weir(join(root, 'dist/cli/main.js'), show.folder, show.nodeName, ['--proxy-mode', 'nftables'])
  try {
    await firstAnswer(client, { address: show.clusterIP, port: show.port }, weir)
    say(
      `weir runs on a copy of examples/; first connection answered ${formatMs(performance.now() - weirStartedAt)} after its start\n`,
    )
    const shown = await showDistribution(client, show)
    const scaled = await showScaling(client, show, spare)
    await weir.stop()
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    say(`\n${shown + scaled} connections, every one answered by a pod that it should have reached; ${seconds} s.`)
  } catch (cause) {
    say(
      `\nweir ${weir.ending === undefined ? 'was running' : `had ended (${weir.ending})`}; the end of its log:\n${weir.logTail}\n`,
    )
    throw cause
  }
}

/** Some hundred connections to each of the Service's three addresses; gives back how many. */
const showDistribution = async (client: Host, show: Showcase): Promise<number> => {
  const targets = [
    { title: 'ClusterIP', address: show.clusterIP, port: show.port },
    { title: 'NodePort', address: show.nodeIP, port: show.nodePort },
    { title: 'LoadBalancer', address: show.loadBalancerIP, port: show.port },
  ]
  say(`Who answered, of ${connectionsPerAddress} connections from the client to each address of ${show.service}:\n`)
  const columns = []
  const sources = []
  for (const { title, address, port } of targets) {
    const answers = await connectAll(client, { address, port }, connectionsPerAddress, show.pods)
    columns.push({ title, subtitle: `${address}:${port}`, counts: countBy(answers, ({ name }) => name) })
    sources.push(`${title} ${[...countBy(answers, ({ peer }) => peer).keys()].join(' and ')}`)
  }
  say(
    barTable(
      show.pods.map(({ name, ip }) => ({ key: name, label: `${name} ${ip}` })),
      columns,
    ),
  )
  say(`\nSource address that the pods saw: ${sources.join(', ')}.\n`)
  return targets.length * connectionsPerAddress
}

/** Scales the Service up and down while it runs; gives back how many connections were made in between. */
const showScaling = async (client: Host, show: Showcase, spare: readonly Pod[]): Promise<number> => {
  const announcements = new Announcements()
  const most = [...show.pods, ...spare]
  const sizes = [
    ...sizesFrom(show.pods.length, most.length),
    ...sizesFrom(most.length, 1),
    ...sizesFrom(1, show.pods.length),
  ]
  say("Scaling. Each time: from the rename of the EndpointSlice's file until the kernel announces the changed map")
  say('element on its netlink socket, with weir noticing the file in between:\n')
  const atFirst = await syncTime()
  let before = show.pods.length
  const times: number[] = []
  for (const size of sizes) {
    const pod = most[Math.max(size, before) - 1]
    if (pod === undefined) throw new Error(`no pod for ${size} endpoints`)
    announcements.drain()
    const startedAt = performance.now()
    show.setPods(most.slice(0, size))
    const took = await announcements.elementWith(pod.ip, startedAt, changeLimitMs)
    const change = `${before} -> ${size} endpoints  ${size > before ? '+' : '-'} ${pod.name} ${pod.ip}`
    if (took === undefined) throw new Error(`${change}: did not reach the kernel within ${changeLimitMs} ms`)
    times.push(took)
    say(`${change.padEnd(42)}${bar(took, 50, 20)} ${formatMs(took).padStart(8)}`)
    await connectAll(client, { address: show.clusterIP, port: show.port }, connectionsPerChange, most.slice(0, size))
    before = size
  }
  announcements.close()
  const sorted = times.toSorted((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  say(`\n${times.length} changes: median ${formatMs(median)}, longest ${formatMs(sorted.at(-1) ?? 0)}.`)
  const atLast = await syncTime()
  const own = (atLast.seconds - atFirst.seconds) / (atLast.count - atFirst.count)
  say(
    `weir's own share by its metrics, desired state to commit: ${formatMs(1000 * own)} on average; the rest is noticing`,
  )
  say(
    `and parsing the file. After each change, ${connectionsPerChange} connections: every pod that should answer did, no other.`,
  )
  return sizes.length * connectionsPerChange
}

if (outerNamespace() === undefined) throw new Error('the story needs namespaces of its own: run npm run demo')
try {
  await tell()
  process.exit(0)
} catch (cause) {
  console.error(`The demo failed: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exit(1)
}
