import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { prefixTally, sumTallies, type Tally } from './tally.ts'
import { isStreamFault, readTap } from './tap-results.ts'

export interface KernelTestOptions {
  /** Folder of the compiled tests; every `*.test.js` below it is a file to run. */
  readonly folder: string
  /** Only files whose path holds one of these; empty = all. */
  readonly only: readonly string[]
  /** At most this many files at once that start a guest (`uml-…`), because a guest keeps a processor busy, */
  readonly guests: number
  /** and this many others: they wait more than they work, for silence, for time-outs, for timers of the kernel. */
  readonly parallel: number
  readonly fileLimitMs: number
  /** What the machine lacks: then no file is run, and each counts as skipped. */
  readonly missing: readonly string[]
  readonly print: (text: string) => void
}

/** For this machine. A guest among others takes up to two minutes. */
export const usualPace = {
  guests: availableParallelism(),
  parallel: availableParallelism(),
  fileLimitMs: 240_000,
} as const satisfies Partial<KernelTestOptions>

/** Runs each file as a process of its own. A failing file's whole output is printed. */
export const runKernelTests = async (options: KernelTestOptions, signal: AbortSignal): Promise<Tally> => {
  const files = kernelTestFiles(options)
  if (files.length === 0) return { passed: 0, failed: [`no kernel test under ${options.folder}`], skipped: [] }
  if (options.missing.length > 0) {
    const reason = `this machine lacks ${options.missing.join(', ')}`
    return { passed: 0, failed: [], skipped: files.map((name) => ({ name, reason })) }
  }
  const tallies: Tally[] = []
  const inGuests = files.filter(startsGuest).values()
  const others = files.filter((file) => !startsGuest(file)).values()
  const work = async (queue: Iterable<string>): Promise<void> => {
    for (const file of queue) tallies.push(prefixTally(`${file} > `, await runFile(file, options, signal)))
  }
  await Promise.all([
    ...Array.from({ length: options.guests }, () => work(inGuests).then(() => work(others))),
    ...Array.from({ length: options.parallel }, () => work(others)),
  ])
  return sumTallies(tallies)
}

const startsGuest = (file: string): boolean => basename(file).startsWith('uml-')

const kernelTestFiles = ({ folder, only }: KernelTestOptions): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js'))
    .filter((path) => only.length === 0 || only.some((part) => path.includes(part)))
    .sort()

const runFile = async (file: string, options: KernelTestOptions, signal: AbortSignal): Promise<Tally> => {
  const startedAt = performance.now()
  const { output, ending } = await runToEnd(join(options.folder, file), options.fileLimitMs, signal)
  const tally = withEnding(readTap(output.stdout), ending)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const failed = tally.failed.length > 0
  options.print(
    `${failed ? 'FAILED' : 'ok    '} ${file}: ${tally.passed} passed, ${tally.failed.length} failed, ${seconds} s\n`,
  )
  if (failed) options.print(`${output.stdout}${output.stderr}--- end of ${file}: ${ending ?? 'status 0'}\n`)
  return tally
}

/** A process that ended badly has failed, whatever its TAP says; why it ended explains TAP that breaks off. */
const withEnding = (tally: Tally, ending: string | undefined): Tally => {
  if (ending === undefined) return tally
  const failed = tally.failed.filter((name) => !isStreamFault(name))
  return { ...tally, failed: failed.length > 0 ? failed : [ending] }
}

interface Ended {
  readonly output: { readonly stdout: string; readonly stderr: string }
  /** undefined = status 0. */
  readonly ending: string | undefined
}

const runToEnd = (path: string, limitMs: number, signal: AbortSignal): Promise<Ended> =>
  new Promise((resolve, reject) => {
    // A group of its own, so that at the limit everything it started goes with it.
    const child = spawn(process.execPath, [path], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      // tap has a limit of its own, 30 s unless told; ours is the one that counts.
      env: { ...process.env, TAP_TIMEOUT: String(Math.ceil(limitMs / 1000)) },
    })
    const output = { stdout: '', stderr: '' }
    let stopped: string | undefined
    const stop = (why: string): void => {
      stopped ??= why
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    }
    const onAbort = (): void => stop('stopped with the run')
    const timer = setTimeout(() => stop(`killed after ${limitMs / 1000} s`), limitMs)
    signal.addEventListener('abort', onAbort)
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text
      })
    child.on('error', reject)
    child.on('close', (status, killer) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      resolve({ output, ending: stopped ?? (status === 0 ? undefined : `ended with ${killer ?? `status ${status}`}`) })
    })
    if (signal.aborted) onAbort()
  })
