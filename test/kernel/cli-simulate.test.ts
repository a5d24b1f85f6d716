import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Script } from 'node:vm'
import t, { type Test } from 'tap'
import { z } from 'zod'
import { ownNamespace } from '../support/namespace.ts'
import { runWeir, sh, startWeir, temporaryFolder } from './cli-program.ts'

ownNamespace(import.meta.url)

const root = fileURLToPath(new URL('../../..', import.meta.url))
const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const folder = temporaryFolder()
const write = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const small = write(
  'small.yaml',
  `
title: Small
connections: 3000
arrivals: { pattern: poisson, rate: 300 }
servers:
  - { name: web, count: 3, capacity: 2, serviceTime: { distribution: exponential, mean: 10ms } }
events: [{ at: 5s, server: web-2, action: leave }]
schedulers: [rr, wlc, mh]
`,
)

/** Written so that no control character stands in an expression. */
const control = String.fromCharCode(27)
const anyStyle = new RegExp(`${control}|█`)
const styles = new RegExp(`${control}\\[\\d+m|\\r`, 'g')

const Report = z.object({
  version: z.literal(1),
  seed: z.number(),
  connections: z.number(),
  results: z.array(
    z.object({
      label: z.string(),
      servers: z.array(z.object({ name: z.string(), connections: z.number() })),
      moved: z.object({ returning: z.number(), moved: z.number() }),
    }),
  ),
})
const reportOf = (json: string): z.infer<typeof Report> => Report.parse(JSON.parse(json))

t.test('the table is plain and 80 columns wide in a pipe', async (t) => {
  const { status, stdout, stderr } = await runWeir(['simulate', small])
  t.match({ status, stderr }, { status: 0, stderr: '' })
  t.match(stdout, /^Small\n3,000 connections/)
  t.match(stdout, /^scheduler +max\/mean.*\nrr .*\nwlc .*\nmh .*\n/m)
  t.match(stdout, / {2}web-1 +1 .* % .*###/)
  t.notMatch(stdout, anyStyle)
  for (const line of stdout.split('\n')) t.ok(line.length <= 80, line)
})

t.test('on a terminal it has colours and blocks, and keeps to its width', async (t) => {
  const onTerminal = (columns: number, environment: string): string =>
    sh(`script -qec "stty cols ${columns}; ${environment} ${process.execPath} ${program} simulate ${small}" /dev/null`)
  const rich = onTerminal(60, 'TERM=xterm LC_ALL=C.UTF-8')
  t.ok(rich.includes('\u001b[1mrr\u001b[22m'))
  t.match(rich, /█/)
  // On a busy machine there is a progress bar first, drawn over itself.
  const lines = rich
    .replaceAll(styles, '')
    .replaceAll('\u001b[K', '')
    .split(/[\r\n]+/)
  for (const line of lines) t.ok(line.length <= 60, line)
  const plain = onTerminal(100, 'TERM=xterm LC_ALL=C.UTF-8 NO_COLOR=1')
  t.notOk(plain.replaceAll('\u001b[K', '').includes('\u001b'), 'no colour; on a busy machine there was a progress bar')
  t.match(plain, /load m\/m/)
})

t.test('JSON goes to standard output in place of the table, or to a file beside it', async (t) => {
  const printed = await runWeir(['simulate', small, '--json', '-'])
  t.match(printed, { status: 0, stderr: '' })
  const report = reportOf(printed.stdout)
  t.same(
    report.results.map(({ label }) => label),
    ['rr', 'wlc', 'mh'],
  )
  const file = join(folder, 'out.json')
  const beside = await runWeir(['simulate', `--json=${file}`, small])
  t.equal(beside.status, 0)
  t.match(beside.stdout, /^Small\n/)
  t.equal(readFileSync(file, 'utf8'), printed.stdout, 'and the same bytes each time')
  const moved = new Map(report.results.map(({ label, moved }) => [label, moved.moved / moved.returning]))
  t.ok((moved.get('mh') ?? 1) < 0.1 && (moved.get('rr') ?? 0) > 0.4, 'mh moves few clients, rr about half')
})

t.test('--seed, --connections and --schedulers overrule the file', async (t) => {
  const run = async (...flags: readonly string[]): Promise<z.infer<typeof Report>> =>
    reportOf((await runWeir(['simulate', small, '--json=-', ...flags])).stdout)
  const other = await run('--seed', '9', '--connections', '2400', '--schedulers', 'sed,rr')
  t.match(other, { seed: 9, connections: 2400, results: [{ label: 'sed' }, { label: 'rr' }] })
  t.same((await run('--schedulers', 'rr')).results, (await run()).results.slice(0, 1))
  t.notSame((await run('--seed=2')).results, (await run()).results)
})

t.test('the page has its charts and its library in it, and names nothing outside', async (t) => {
  const file = join(folder, 'page.html')
  const { status, stderr } = await runWeir(['simulate', small, '--html', file])
  t.match({ status, stderr }, { status: 0, stderr: '' })
  const page = readFileSync(file, 'utf8')
  t.notMatch(page, /https?:\/\//i)
  t.notMatch(page, /<(?:link|img|iframe|object|embed|base)\b|<script[^>]+src|sourceMappingURL/i)
  t.match(page, /Content-Security-Policy" content="default-src 'none'/)
  const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script = '']) => script)
  t.equal(scripts.length, 2)
  const [library = '', charts = ''] = scripts
  t.match(library, /Chart\.js v4/)
  // The real library, as far as it goes without a screen: it must come up as the global that the second script uses.
  const browser: Record<string, unknown> = {}
  new Script(library).runInNewContext(browser)
  t.type(browser['Chart'], 'function')
  const drawn: unknown[] = []
  class Chart {
    static readonly defaults = {}
    constructor(canvas: unknown) {
      drawn.push(canvas)
    }
  }
  const document = { getElementById: (id: string) => id }
  new Script(charts).runInNewContext({ Chart, document, matchMedia: () => ({ matches: false }) })
  t.same(
    drawn,
    [...page.matchAll(/<canvas id="([^"]+)"/g)].map(([, id]) => id),
  )
})

t.test('progress shows on a terminal when it takes longer, and never in a pipe', async (t) => {
  const args = `simulate ${small} --schedulers random --connections 6000000`
  const run = `${process.execPath} ${program} ${args}`
  const seen = sh(`TERM=xterm script -qec "${run}" /dev/null`)
  t.match(seen, /\r\[=* *\] +\d+ %, \d+ s left/)
  t.match(
    seen.replaceAll(styles, '\n'),
    new RegExp(` s left${control}\\[K\\n${control}\\[K\\n*Small`),
    'and is gone before the table',
  )
  t.equal((await runWeir(args.split(' '))).stderr, '')
})

t.test('an interrupt ends it at once', async (t) => {
  const endless = write(
    'endless.yaml',
    readFileSync(small, 'utf8').replace('connections: 3000', 'connections: 100000000'),
  )
  const weir = startWeir(t, ['simulate', endless])
  await new Promise((resolve) => setTimeout(resolve, 1500))
  const startedAt = Date.now()
  const { status } = await weir.end('SIGINT')
  t.equal(status, 1)
  t.ok(Date.now() - startedAt < 3000)
})

t.test('what is wrong is said in a line each, with status 1', async (t) => {
  const refused = async (t: Test, args: readonly string[], ...lines: readonly RegExp[]): Promise<void> => {
    const { status, stdout, stderr } = await runWeir(['simulate', ...args])
    t.match({ status, stdout }, { status: 1, stdout: '' })
    const said = stderr.trimEnd().split('\n')
    t.equal(said.length, lines.length, stderr)
    for (const [i, line] of lines.entries()) t.match(said[i], line)
  }
  const edited = (name: string, pattern: string | RegExp, by: string): string =>
    write(name, readFileSync(small, 'utf8').replace(pattern, by))
  await Promise.all([
    refused(t, [], /^weir: simulate needs a scenario: weir simulate SCENARIO\.yaml$/),
    refused(t, ['/nowhere.yaml'], /^weir: cannot read the scenario: ENOENT.*\/nowhere\.yaml/),
    refused(t, [small, '--schedulers', 'rr,quickest'], /^weir: --schedulers: unknown scheduler "quickest"; known are /),
    refused(t, [small, '--json', '/nowhere/x.json', '--connections=10'], /^weir: cannot write the results: ENOENT/),
    refused(
      t,
      [edited('many.yaml', /servers:\n.*\n/, 'servers: [{ name: a, weight: -2 }]\n')],
      /^weir: .*many\.yaml:5: servers\[0\]\.weight: must be a whole number from 0 to 2147483647, not -2$/,
      /^weir: .*many\.yaml:5: servers\[0\]: serviceTime is missing$/,
      /^weir: .*many\.yaml:6: events\[0\]\.server: there is no server web-2$/,
    ),
    refused(
      t,
      [
        edited(
          'order.yaml',
          /events:.*/,
          'events: [{ atConnection: 2000, server: web-1, action: die }, { at: 1s, server: web-2, action: die }]',
        ),
      ],
      /^weir: .*order\.yaml:7: events\[1\]: is over when the event before it happens/,
    ),
    refused(t, [edited('slots.yaml', 'count: 3', 'count: 5000')], /^weir: .*slots\.yaml: servers: mh: .*4093 slots$/),
  ])
})

t.test('help', async (t) => {
  const { status, stdout } = await runWeir(['simulate', '--help'])
  t.equal(status, 0)
  t.match(stdout, /^weir simulate: .*\n\nUsage:\n {2}weir simulate SCENARIO\.yaml \[flags\]/)
})

t.test('every example runs, and begins with a comment that says what to look at', async (t) => {
  const examples = join(root, 'examples/simulate')
  const names = readdirSync(examples).sort()
  t.same(names, ['black-hole.yaml', 'losing-a-server.yaml', 'mixed-servers.yaml'])
  for (const name of names) {
    const path = join(examples, name)
    t.match(readFileSync(path, 'utf8'), /^# .*\n[\s\S]*# What to look at: /)
    const { status, stderr } = await runWeir(['simulate', path, '--connections=20000'])
    t.match({ status, stderr }, { status: 0, stderr: '' }, name)
  }
})
