import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readReport } from '../../scripts/test/unit.ts'
import { type KernelTestOptions, runKernelTests } from '../support/kernel-tests.ts'
import { lackedCapabilities } from '../support/means.ts'
import { forbidSkips, sumTallies, type Tally, tallyLine } from '../support/tally.ts'

describe('runKernelTests', () => {
  let folder = ''
  let printed = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-runner-'))
    printed = ''
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const file = (name: string, code: string): void => writeFileSync(join(folder, name), code)
  const run = (options: Partial<KernelTestOptions> = {}, signal = AbortSignal.timeout(60_000)): Promise<Tally> =>
    runKernelTests(
      {
        folder,
        only: [],
        guests: 1,
        parallel: 2,
        fileLimitMs: 10_000,
        missing: [],
        print: (text) => {
          printed += text
        },
        ...options,
      },
      signal,
    )

  it('adds up files, and shows the output of those that fail only', async () => {
    file('a.test.js', "console.log('1..2\\nok 1 - quiet one\\nok 2 - quiet two')")
    file('b.test.js', "console.log('1..2\\nok 1 - x\\nnot ok 2 - y'); console.error('the reason')")
    file('helper.js', 'process.exit(1)')
    expect(await run()).toEqual({ passed: 3, failed: ['b.test.js > y'], skipped: [] })
    expect(printed).toContain('the reason')
    expect(printed).not.toContain('quiet')
  })

  it('runs files that start guests beside the others, so many and no more at a time', async () => {
    for (const name of ['uml-a', 'uml-b', 'c', 'd']) file(`${name}.test.js`, "console.log('1..1\\nok 1 - x')")
    expect(await run()).toEqual({ passed: 4, failed: [], skipped: [] })
    expect(printed.indexOf('uml-a.test')).toBeLessThan(printed.indexOf('uml-b.test'))
  })

  it('counts a bad ending as a failure, whatever the TAP says', async () => {
    file('status.test.js', "console.log('1..1\\nok 1 - x'); process.exitCode = 3")
    file('signal.test.js', "console.log('1..1\\nok 1 - x'); process.kill(process.pid, 'SIGTERM')")
    expect((await run()).failed.toSorted()).toEqual([
      'signal.test.js > ended with SIGTERM',
      'status.test.js > ended with status 3',
    ])
  })

  it('kills a file at its limit, with what it started', async () => {
    file(
      'hang.test.js',
      "const { spawn } = require('node:child_process'); console.log('ok 1 - x'); spawn('sleep', ['600'], { stdio: 'inherit' })",
    )
    expect(await run({ fileLimitMs: 1_000 })).toEqual({
      passed: 1,
      failed: ['hang.test.js > killed after 1 s'],
      skipped: [],
    })
  })

  it('kills what runs when the run is stopped', async () => {
    file('hang.test.js', 'setInterval(() => {}, 1000)')
    expect((await run({}, AbortSignal.timeout(500))).failed).toEqual(['hang.test.js > stopped with the run'])
  })

  it('runs only the files asked for', async () => {
    file('a.test.js', "console.log('1..1\\nok 1 - x')")
    file('b.test.js', "console.log('1..1\\nok 1 - x')")
    expect((await run({ only: ['b.te'] })).passed).toBe(1)
  })

  it('names every file as skipped where the machine lacks something', async () => {
    file('a.test.js', 'process.exit(1)')
    expect(await run({ missing: ['CAP_NET_ADMIN'] })).toEqual({
      passed: 0,
      failed: [],
      skipped: [{ name: 'a.test.js', reason: 'this machine lacks CAP_NET_ADMIN' }],
    })
  })

  it('fails when there is nothing to run', async () => {
    expect((await run()).failed).toHaveLength(1)
  })
})

describe('readReport', () => {
  const test = (status: string) => ({ fullName: status, status })
  const report = (success: boolean, ...tests: readonly { fullName: string; status: string }[]): unknown => ({
    success,
    testResults: [{ name: 'x.test.ts', status: success ? 'passed' : 'failed', message: '', assertionResults: tests }],
  })

  it('counts every test', () => {
    expect(
      readReport(report(false, test('passed'), test('failed'), test('skipped'), test('todo')), 'status 1'),
    ).toEqual({
      passed: 1,
      failed: ['failed'],
      skipped: [
        { name: 'skipped', reason: 'skipped by its file' },
        { name: 'todo', reason: 'to do' },
      ],
    })
  })

  it.each([
    ['no report', null, 'status 1'],
    ['a report without tests', { success: true, testResults: [] }, 'status 0'],
    ['a file that could not be loaded', report(false), 'status 1'],
    ['an error outside every test', report(false, test('passed')), 'status 1'],
    ['a status that contradicts the report', report(true, test('passed')), 'status 1'],
    ['a runner that was killed', report(true, test('passed')), 'signal SIGKILL'],
  ])('counts as failed: %s', (_, json, status) => {
    expect(readReport(json, status).failed).toHaveLength(1)
  })
})

describe('tallies', () => {
  const tally: Tally = { passed: 2, failed: ['a'], skipped: [{ name: 'b', reason: 'no nft' }] }

  it('add up', () => {
    expect(tallyLine(sumTallies([tally, tally]))).toBe('4 passed, 2 failed, 2 skipped')
  })

  it('turn skips into failures where everything must run', () => {
    expect(forbidSkips(tally)).toEqual({ passed: 2, failed: ['a', 'b: could not run: no nft'], skipped: [] })
  })
})

describe('lackedCapabilities', () => {
  it.each([
    ['000001ffffffffff', []],
    ['000001ffffffefff', ['CAP_NET_ADMIN']],
    ['0000000000001000', ['CAP_NET_RAW', 'CAP_SYS_ADMIN']],
    ['0000000000000000', ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN']],
  ])('reads CapEff %s', (mask, lacked) => {
    expect(lackedCapabilities(`Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${mask}\n`)).toEqual(lacked)
  })
})
