import { describe, expect, test } from 'vitest'
import type { Problem } from '../../../src/model/problem.ts'
import { createLogger, type LogFormat, levelOf } from '../../../src/observe/log/logger.ts'
import { problemLog } from '../../../src/observe/log/problem-log.ts'
import { syncLog } from '../../../src/observe/log/sync-log.ts'
import { applied, failed, flowsFailed } from './support/events.ts'
import { FakeClock } from './support/fake-clock.ts'

const setUp = (format: LogFormat, verbosity = 0): { logger: ReturnType<typeof createLogger>; lines: string[] } => {
  const lines: string[] = []
  return { logger: createLogger({ format, verbosity, sink: { write: (line) => lines.push(line) } }), lines }
}

/** The line without what differs from run to run. */
const stable = (line: string | undefined): string | undefined =>
  line?.replace(/^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ /, '$1 ')

describe('text', () => {
  test('is a klog line: severity, local time, process, component, message, fields', () => {
    const { logger, lines } = setUp('text')
    logger.child({ component: 'sync' }).info({ family: 'IPv4', added: 3, structure: false }, 'Applied changes')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^I\d{4} \d\d:\d\d:\d\d\.\d{6} {1,7}\d+ sync\] "Applied changes" /)
    expect(stable(lines[0])).toBe('I sync] "Applied changes" family="IPv4" added=3 structure=false\n')
    const now = new Date()
    const day = `${String(now.getMonth() + 1).padStart(2, '0')}${String(now.getDate()).padStart(2, '0')}`
    expect(lines[0]?.slice(1, 5)).toBe(day)
  })

  test.each([
    ['warn', 'W'],
    ['error', 'E'],
    ['fatal', 'F'],
    ['info', 'I'],
    ['debug', 'I'],
    ['trace', 'I'],
  ] as const)('%s begins with %s', (level, letter) => {
    const { logger, lines } = setUp('text', 9)
    logger[level]('x')
    expect(stable(lines[0])).toBe(`${letter} weir] "x"\n`)
  })

  test('stays on one line, with the causes of an error', () => {
    const { logger, lines } = setUp('text')
    const cause = new Error('netlink: EBUSY')
    logger.error({ err: new Error('commit failed', { cause }) }, 'first\nsecond')
    expect(stable(lines[0])).toBe('E weir] "first\\nsecond" err="commit failed: netlink: EBUSY"\n')
  })
})

test('json is one object per line', () => {
  const { logger, lines } = setUp('json')
  logger.child({ component: 'cli' }).warn({ port: 10256 }, 'Cannot listen')
  const entry: unknown = JSON.parse(lines[0] ?? '')
  expect(entry).toMatchObject({ level: 'warn', pid: process.pid, component: 'cli', port: 10256, msg: 'Cannot listen' })
  expect(entry).toHaveProperty('time', expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/))
})

test.each([
  [0, 'info'],
  [2, 'info'],
  [3, 'debug'],
  [4, 'debug'],
  [5, 'trace'],
  [10, 'trace'],
] as const)('-v %i logs from %s up', (verbosity, level) => {
  expect(levelOf(verbosity)).toBe(level)
  expect(setUp('json', verbosity).logger.level).toBe(level)
})

describe.each(['json', 'text'] as const)('credentials in %s', (format) => {
  const jwt = 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2ln-bmF0_dXJl'

  test.each([
    ['a token', { token: 'hunter2' }],
    ['a token deep inside', { user: [{ auth: { idToken: 'hunter2' } }] }],
    ['a header', { headers: { Authorization: 'Basic hunter2=' } }],
    ['raw headers', { headers: { authorization: ['Bearer hunter2', 'x'] } }],
    ['a quoted body', { body: JSON.stringify({ access_token: 'hunter2', a: 1 }) }],
    ['a quoted string with quotes in it', { password: 'a"hunter2' }],
    ['a kubeconfig key', { 'client-key-data': 'hunter2' }],
    ['a message', { note: 'sent Bearer hunter2, got 401' }],
    ['an error', { err: new Error('401 for bearer hunter2') }],
    ['a bare ServiceAccount token', { note: `read ${jwt}` }],
  ])('%s is not logged', (_, fields) => {
    const { logger, lines } = setUp(format)
    logger.info({ before: 1, ...fields, after: 2 }, 'Request')
    expect(lines[0]).toContain('[redacted]')
    expect(lines[0]).not.toContain('hunter2')
    expect(lines[0]).not.toContain(jwt)
    expect(lines[0]).toMatch(format === 'json' ? /"after":2/ : /after=2/)
    if (format === 'json') expect(() => JSON.parse(lines[0] ?? '')).not.toThrow()
  })

  test('other words stay', () => {
    const { logger, lines } = setUp(format)
    logger.info({ service: 'default/token-issuer', tokens: 3 }, 'The bearer of bad news')
    expect(stable(lines[0])).not.toContain('redacted')
    expect(lines[0]).toContain('default/token-issuer')
  })
})

describe('problems', () => {
  const problem: Problem = {
    object: { kind: 'Service', namespace: 'default', name: 'web' },
    field: 'spec.ports[1].nodePort',
    reason: 'is 70000, which is no port, the port has no NodePort',
  }

  const log = (limit?: number): { lines: string[]; clock: FakeClock; tell: (told: Problem) => void } => {
    const clock = new FakeClock('2024-03-01T12:00:00Z')
    const { logger, lines } = setUp('text')
    const observer = problemLog(logger, { clock, ...(limit === undefined ? {} : { limit }) })
    return { lines, clock, tell: (told) => observer.problem({ problem: told, source: 'source' }) }
  }

  test('are one warning that names the object and the field', () => {
    const { lines, tell } = log()
    tell(problem)
    expect(lines.map(stable)).toEqual([
      'W weir] "is 70000, which is no port, the port has no NodePort" ' +
        'object="Service default/web" field="spec.ports[1].nodePort" source="source"\n',
    ])
  })

  test('stay silent while they repeat, and then say how often', () => {
    const { lines, clock, tell } = log()
    for (let i = 0; i < 4; i++) tell(problem)
    clock.advance(599_999)
    tell(problem)
    expect(lines).toHaveLength(1)
    clock.advance(1)
    tell(problem)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toContain('repeats=4')
    tell(problem)
    expect(lines).toHaveLength(2)
  })

  test.each([
    ['object', { ...problem, object: { ...problem.object, name: 'api' } }],
    ['namespace', { ...problem, object: { ...problem.object, namespace: undefined } }],
    ['field', { ...problem, field: 'spec.ports[2].nodePort' }],
    ['reason', { ...problem, reason: 'is missing' }],
  ])('with another %s are other problems', (_, other) => {
    const { lines, tell } = log()
    tell(problem)
    tell(other)
    expect(lines).toHaveLength(2)
  })

  test('are forgotten when there are too many, those longest unseen first', () => {
    const { lines, tell } = log(2)
    const about = (field: string): void => tell({ ...problem, field })
    for (const field of ['a', 'b', 'a', 'c']) about(field)
    expect(lines).toHaveLength(3)
    about('a')
    expect(lines).toHaveLength(3)
    about('b')
    expect(lines).toHaveLength(4)
  })
})

describe('the sync loop', () => {
  test('logs failures always and successes at -v 3', () => {
    for (const [verbosity, expected] of [
      [2, 1],
      [3, 2],
    ] as const) {
      const { logger, lines } = setUp('text', verbosity)
      const observer = syncLog(logger)
      observer.applied?.(applied())
      observer.failed?.(failed())
      expect(lines).toHaveLength(expected)
      expect(stable(lines.at(-1))).toBe(
        'E weir] "Sync failed" family="IPv4" kind="partial" code="busy" op="commit" ' +
          'err="commit: device or resource busy" retryInMs=1000\n',
      )
    }
  })
})

test('stale flows that cannot be deleted are one warning, until that was possible again', () => {
  const { logger, lines } = setUp('text')
  const log = syncLog(logger)
  const reconciled = { durationMs: 1, deleted: 0, at: 0 } as const
  for (let i = 0; i < 3; i++) log.flowsFailed?.(flowsFailed())
  log.flowsReconciled?.({ family: 'IPv6', ...reconciled })
  log.flowsReconciled?.({ family: 'IPv4', ...reconciled })
  log.flowsReconciled?.({ family: 'IPv4', ...reconciled })
  log.flowsFailed?.(flowsFailed())
  expect(lines.map((line) => stable(line)?.slice(0, 45))).toEqual([
    'W weir] "Could not delete stale flows" family',
    'I weir] "Stale flows can be looked for again"',
    'W weir] "Could not delete stale flows" family',
  ])
})
