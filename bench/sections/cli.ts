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
  const child = spawn(
    process.execPath,
    ['--min-semi-space-size=16', program, 'run', `--master=${server.url}`, ...nodeFlags],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-2_000)
  })
  const ended = once(child, 'exit')
  try {
    await reaches('weir_commits_total', 2, child)
    report.add('process started → everything committed, lists over HTTP included', 'ms', [performance.now() - start])
    report.add('peak RSS after the first sync', 'MiB', [peakMiB(child.pid)])
    const stream = new ChangeStream(options, slices)
    const targets = options.services === 20_000 ? [{ of: 'p50', atMost: 350 } as const] : []
    for (let changes = 0; changes < (options.quick ? 2_000 : 20_000); ) {
      for (let i = 0; i < 1_000; i++, changes++) {
        const manifest = stream.next(changeKinds[i % changeKinds.length] ?? 'replaced')
        if (manifest !== undefined) server.put('endpointslices', manifest)
      }
      await reaches('kubeproxy_sync_proxy_rules_endpoint_changes_total', options.services + changes, child)
      if (changes === 1_000) report.add('peak RSS after 1,000 changes', 'MiB', [peakMiB(child.pid)], { targets })
    }
    report.add(`peak RSS after ${options.quick ? '2,000' : '20,000'} changes`, 'MiB', [peakMiB(child.pid)], { targets })
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

/** Waits until a counter of the program, all labels added up, is at least `least`. */
const reaches = async (counter: string, least: number, child: ChildProcess): Promise<void> => {
  const sample = new RegExp(`^${counter}(?:\\{[^}]*\\})? (\\d+)$`, 'gm')
  const end = performance.now() + limitMs
  while (performance.now() < end && child.exitCode === null) {
    const text = await fetch(metricsUrl).then(
      (response) => response.text(),
      () => '',
    )
    const total = [...text.matchAll(sample)].reduce((sum, [, value]) => sum + Number(value), 0)
    if (total >= least) return
    await sleep(20)
  }
  throw new Error(child.exitCode === null ? `${counter} stays below ${least}` : `it ended with ${child.exitCode}`)
}
