import { Script } from 'node:vm'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { htmlReport } from './html-report.ts'
import { jsonReport } from './json-report.ts'
import { readScenario } from './read-scenario.ts'
import type { SchedulerResult } from './result.ts'
import { Simulation } from './simulation.ts'
import { textReport } from './text-report.ts'
import { bar } from './text-style.ts'
import { crowdsOf } from './traffic.ts'

const text = `
title: Small & <odd> </script> "one"
seed: 42
connections: 2000
arrivals: { pattern: poisson, rate: 200 }
clients: { number: 50, skew: 1 }
servers:
  - { name: a, weight: 2, capacity: 1, queue: 10, serviceTime: { distribution: exponential, mean: 10ms } }
  - { name: b, capacity: 1, serviceTime: { distribution: exponential, mean: 10ms } }
  - { name: <c>, serviceTime: 5ms }
events:
  - { at: 4s, server: b, action: die, noticedAfter: 1s }
  - { at: 7s, server: b, action: join }
  - { at: 1h, server: a, action: drain }
schedulers: [rr, wlc, { name: mh, flags: [mh-fallback] }]
`
const scenario = readScenario(text, 'small.yaml')
let results: readonly SchedulerResult[] = []
beforeAll(() => {
  results = scenario.schedulers.map((plan) => new Simulation(scenario, plan, crowdsOf(scenario)).run())
})

describe('JSON', () => {
  it('is the same for the same seed, byte by byte', async () => {
    await expect(jsonReport(scenario, results)).toMatchFileSnapshot('reports.golden.json')
  })

  it('parses, keeps lists of numbers on a line, and leaves text alone', () => {
    const json = jsonReport({ ...scenario, title: 'a [\n  1,\n  2\n] b' }, results)
    expect(JSON.parse(json)).toMatchObject({
      version: 1,
      title: 'a [\n  1,\n  2\n] b',
      notes: ['events[2] is never reached: the last connection arrives at 9.76375 s'],
    })
    expect(json).toMatch(/^ +\[(\d+,){100,}\d+\],?$/m)
    expect(json).not.toMatch(/\d\.\d{9}/)
  })
})

describe('the table', () => {
  const plain = { width: 80, colour: false, blocks: false }

  test.each([40, 60, 80, 200])('fits %i columns as far as it can, and has every scheduler and server', (width) => {
    const table = textReport(scenario, results, { ...plain, width })
    for (const line of table.split('\n')) expect(line.length, line).toBeLessThanOrEqual(Math.max(width, 60))
    for (const name of ['rr', 'wlc', 'mh (mh-fallback)']) expect(table.split('\n')).toContain(name)
    expect(table.match(/^ {2}<c> /gm)).toHaveLength(3)
    expect(table.replaceAll(/\s+/g, ' ')).toContain('5.00 s, b dies, noticed after 1 s: ')
  })

  it('drops the least of the columns first when it is narrow', () => {
    const heads = (width: number): string =>
      textReport(scenario, results, { ...plain, width })
        .split('\n')
        .find((line) => line.startsWith('scheduler')) ?? ''
    expect(heads(120)).toMatch(/scheduler +max\/mean +cv +load m\/m +delay +p50 +p99 +rejected +moved/)
    expect(heads(80)).not.toContain('load m/m')
    expect(heads(40)).toMatch(/^scheduler +max\/mean +delay +p99 +rejected$/)
  })

  it('is plain ASCII but for units unless it may be more', () => {
    const table = textReport(scenario, results, plain)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what is looked for
    expect(table).not.toMatch(/\u001b|█/)
    expect(table).toContain('####')
    const rich = textReport(scenario, results, { width: 80, colour: true, blocks: true })
    expect(rich).toContain('\u001b[1mrr\u001b[22m')
    expect(rich).toContain('████')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
    const stripped = rich.replaceAll(/\u001b\[\d+m/g, '').replaceAll(/[█▏▎▍▌▋▊▉]+/g, '')
    expect(stripped.split('\n').map((line) => line.trimEnd())).toEqual(
      table
        .replaceAll(/#+/g, '')
        .split('\n')
        .map((line) => line.trimEnd()),
    )
  })

  it('has bars as long as shares', () => {
    const style = { ...plain, blocks: true }
    expect([bar(0, 4, style), bar(0.5, 4, style), bar(1, 4, style), bar(0.28125, 4, style)]).toEqual([
      '    ',
      '██  ',
      '████',
      '█▏  ',
    ])
    expect(bar(0.5, 4, plain)).toBe('##  ')
  })

  it('counts the servers that it does not show', () => {
    const many = readScenario(
      'connections: 10\narrivals: { pattern: constant, rate: 1 }\nservers: [{ name: s, count: 40, serviceTime: 1s }]\nschedulers: [rr]',
      '',
    )
    const [plan] = many.schedulers
    if (plan === undefined) throw new Error('no scheduler')
    const table = textReport(many, [new Simulation(many, plan, crowdsOf(many)).run()], plain)
    expect(table).toContain('and 8 more; --json has them all')
  })
})

describe('the page', () => {
  const library = [
    '/*! Chart\n * https://www.example.org\n */',
    'var Chart = "</script><!-- http://example.org";',
    '//# sourceMappingURL=chart.js.map',
  ].join('\n')
  const page = (): string => htmlReport(scenario, results, library)
  const scripts = (): readonly string[] =>
    [...page().matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, script = '']) => script)

  it('names no address, and forbids the browser to load anything', () => {
    expect(page()).not.toMatch(/https?:|sourceMappingURL/i)
    expect(page()).not.toMatch(
      /<(?:link|img|iframe|object|embed|base)\b|\b(?:src|href|srcset|action)\s*=|url\(|@import/i,
    )
    expect(page()).toContain(`http-equiv="Content-Security-Policy" content="default-src 'none';`)
  })

  it('holds two scripts that parse, whatever is in titles and in the library', () => {
    expect(scripts()).toHaveLength(2)
    for (const script of scripts()) expect(() => new Script(script)).not.toThrow()
    expect(page()).toContain('<h1>Small &#38; &#60;odd&#62; &#60;/script&#62; &#34;one&#34;</h1>')
    expect(page()).not.toContain('<c>')
  })

  it('makes a chart of every canvas, once', () => {
    const drawn: string[] = []
    class Chart {
      static readonly defaults = {}
      constructor(id: string, config: { readonly data: { readonly datasets: readonly unknown[] } }) {
        drawn.push(id)
        expect(config.data.datasets.length).toBeGreaterThan(0)
      }
    }
    const [, script = ''] = scripts()
    const browser = { Chart, document: { getElementById: (id: string) => id }, matchMedia: () => ({ matches: true }) }
    new Script(script).runInNewContext(browser)
    const canvases = [...page().matchAll(/<canvas id="([^"]+)"/g)].map(([, id]) => id)
    expect(drawn).toEqual(canvases)
    expect(new Set(drawn).size).toBe(4 + 2 * 3)
  })
})
