import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { ChangeSink, ModelChange } from '../../../src/model/change.ts'
import { objectName, type Problem } from '../../../src/model/problem.ts'
import { createFileSource, type FileSourceOptions } from '../../../src/source/files/file-source.ts'

/** Writes down what a source says, in words. */
export class Recorder implements ChangeSink {
  readonly lines: string[] = []
  readonly problems: string[] = []
  readonly batches: ModelChange[][] = []
  syncs = 0

  changes(batch: readonly ModelChange[]): void {
    this.batches.push([...batch])
    for (const change of batch) this.lines.push(describeChange(change))
  }

  synced(): void {
    this.syncs++
    this.lines.push('synced')
  }

  problem(problem: Problem): void {
    this.problems.push(describeProblem(problem))
  }

  /** The lines since the last call. */
  take(): readonly string[] {
    return this.lines.splice(0)
  }

  takeProblems(): readonly string[] {
    return this.problems.splice(0)
  }
}

export const describeProblem = ({ object, field, reason }: Problem): string =>
  `${objectName(object)} ${field}: ${reason}`

export const describeChange = (change: ModelChange): string => {
  switch (change.kind) {
    case 'service':
      return `${change.key} ${change.value?.clusterIPs.join() ?? 'gone'}`
    case 'slice':
      return `${change.key} ${change.value?.endpoints.map(({ ip }) => ip).join() ?? 'gone'}`
    case 'node':
      return `node ${change.value?.name ?? 'gone'}`
    default:
      return `cidr ${change.name} ${change.value?.cidrs.join() ?? 'gone'}`
  }
}

/** Waits until `condition` holds; fails after `milliseconds`. Returns how long it took. */
export const until = async (condition: () => boolean, milliseconds = 5_000): Promise<number> => {
  const start = performance.now()
  while (!condition()) {
    if (performance.now() - start > milliseconds) throw new Error('what was waited for did not happen')
    await sleep(1)
  }
  return performance.now() - start
}

export const freshDirectory = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'weir-files-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

export const sourceOptions = { nodeName: 'n1', proxyName: undefined, allowExternalIPs: true } as const

/** Runs a source until the test ends; resolves once it is in sync. */
export const follow = async (
  directories: readonly string[],
  more: Partial<FileSourceOptions> = {},
): Promise<Recorder> => {
  const recorder = new Recorder()
  const stop = new AbortController()
  const running = createFileSource({ ...sourceOptions, ...more, directories }).run(recorder, stop.signal)
  onTestFinished(async () => {
    stop.abort()
    await running
  })
  await Promise.race([running, until(() => recorder.syncs > 0)])
  return recorder
}

export const service = (name: string, ip: string): string => `apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  clusterIP: ${ip}
  ports:
    - port: 80
`

export const slice = (name: string, ...ips: readonly string[]): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}
  labels:
    kubernetes.io/service-name: web
addressType: IPv4
ports:
  - name: ""
    port: 8080
endpoints:
${ips.map((ip) => `  - addresses: [${ip}]\n`).join('')}`
