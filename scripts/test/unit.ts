import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Tally } from '../../test/support/tally.ts'

/** The parts of vitest's JSON report (Jest's format) that are read here. */
const Report = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
})
type Report = z.infer<typeof Report>

/** Runs every vitest file of the project; vitest writes its own progress to our output. */
export const runUnitTests = async (root: string, signal: AbortSignal): Promise<Tally> => {
  const folder = await mkdtemp(join(tmpdir(), 'weir-unit-'))
  try {
    const report = join(folder, 'report.json')
    const status = await runVitest(root, report, signal)
    return readReport(JSON.parse(await readFile(report, 'utf8').catch(() => 'null')), status)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const runVitest = async (root: string, report: string, signal: AbortSignal): Promise<string> => {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  // In CI vitest colours its output whoever reads it.
  const env = process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1' }
  const child = spawn(process.execPath, [vitest, 'run', ...reporters], {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const stop = (): void => {
    child.kill('SIGKILL')
  }
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  const [status, killer]: unknown[] = await once(child, 'exit')
  signal.removeEventListener('abort', stop)
  return killer === null ? `status ${status}` : `signal ${killer}`
}

/** Counts a report. A runner that crashed, or reported nothing, or failed outside every test, is a failure too. */
export const readReport = (json: unknown, status: string): Tally => {
  const parsed = Report.safeParse(json)
  if (!parsed.success) return { passed: 0, failed: [`vitest left no report (${status})`], skipped: [] }
  const tests = parsed.data.testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = [
    ...tests.filter((test) => test.status === 'failed').map((test) => test.fullName),
    ...parsed.data.testResults.filter(hasBrokenFile).map((file) => `${file.name}: ${file.message.split('\n')[0]}`),
  ]
  if (tests.length === 0 && failed.length === 0) failed.push('vitest found no tests')
  if (failed.length === 0 && (!parsed.data.success || status !== 'status 0'))
    failed.push(`vitest failed outside every test (${status})`)
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed,
    skipped: tests
      .filter((test) => test.status !== 'passed' && test.status !== 'failed')
      .map((test) => ({ name: test.fullName, reason: test.status === 'todo' ? 'to do' : 'skipped by its file' })),
  }
}

/** A file that could not even be loaded: failed, with no failed test in it. */
const hasBrokenFile = (file: Report['testResults'][number]): boolean =>
  file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')
