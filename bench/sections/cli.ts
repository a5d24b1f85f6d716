import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { FakeApiServer } from '../../test/apiserver/fake-api-server.ts'
import { ChangeStream, changeKinds } from '../cluster/changes.ts'
import { synthesize } from '../cluster/cluster.ts'
import { nodeManifest, serviceCidrManifest, serviceManifest, sliceManifest } from '../cluster/manifests.ts'
import { sliceChange } from '../cluster/objects.ts'
import { peakMiB } from '../process/memory.ts'
import { nodeFlags } from '../proxy/flags.ts'
import { type Bench, size } from './section.ts'

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const metricsUrl = 'http://127.0.0.1:10249/metrics'
const limitMs = 60_000

/** The program itself, fed over HTTP: how long it takes from its start, and how much memory. */
export const cliSection = async ({ options, report, begin }: Bench): Promise<void> => {
  const server = await FakeApiServer.start({ historyLimit: 100_000 })
  const slices = fill(server, options)
  await begin(`weir run with an API server, ${size(options.services, options.endpoints)} endpoints`)
  const start = performance.now()
  const child = spawn(process.execPath, [program, 'run', `--master=${server.url}`, ...nodeFlags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-2_000)
  })
  const ended = once(child, 'exit')
  try {
    const changed = await committed(child, 0)
    report.add('process started → everything committed, lists over HTTP included', 'ms', [changed.at - start])
    report.add('peak RSS after the first sync', 'MiB', [peakMiB(child.pid)])
    const changes = 1000
    const stream = new ChangeStream(options, slices)
    for (let i = 0; i < changes; i++) {
      const manifest = stream.next(changeKinds[i % changeKinds.length] ?? 'replaced')
      if (manifest !== undefined) server.put('endpointslices', manifest)
    }
    await committed(child, changed.commits)
    await sleep(1_000)
    const targets = options.services === 20_000 ? [{ of: 'p50', atMost: 350 } as const] : []
    report.add('peak RSS after 1,000 changes more', 'MiB', [peakMiB(child.pid)], { targets })
  } catch (cause) {
    throw new Error(`weir run: ${log}`, { cause })
  } finally {
    child.kill('SIGKILL')
    await ended
    await server.close()
  }
}

/** Puts the cluster into the server. Returns its slices as parsed. */
const fill = (server: FakeApiServer, options: Bench['options']) => {
  server.put('nodes', nodeManifest())
  server.put('servicecidrs', serviceCidrManifest())
  return [...synthesize(options)].map((service) => {
    server.put('services', serviceManifest(service))
    const manifest = sliceManifest(service, service.members)
    server.put('endpointslices', manifest)
    return () => {
      const change = sliceChange(manifest)
      if (change.kind !== 'slice' || change.value === undefined) throw new Error(`${service.name} has no slice`)
      return change.value
    }
  })
}

/** Waits until more than `before` syncs of IPv4 have succeeded, as the program's metrics tell. */
const committed = async (
  child: ChildProcess,
  before: number,
): Promise<{ readonly at: number; readonly commits: number }> => {
  const end = performance.now() + limitMs
  while (performance.now() < end && child.exitCode === null) {
    const text = await fetch(metricsUrl).then(
      (response) => response.text(),
      () => '',
    )
    const commits = [...text.matchAll(/^weir_commits_total\{[^}]*ip_family="IPv6"[^}]*\} (\d+)$/gm)]
      .map(([, count]) => Number(count))
      .reduce((sum, count) => sum + count, 0)
    if (commits > before) return { at: performance.now(), commits }
    await sleep(20)
  }
  throw new Error(child.exitCode === null ? 'nothing was committed in a minute' : `it ended with ${child.exitCode}`)
}
