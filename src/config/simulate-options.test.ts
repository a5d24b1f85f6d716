import { describe, expect, it, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { helpText } from './help.ts'
import { parseSimulateOptions, simulateHelp } from './simulate-options.ts'

const given = (...argv: readonly string[]) => parseCommandLine(['simulate', ...argv])
const errorOf = (...argv: readonly string[]): string => {
  try {
    given(...argv)
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'usage') return error.message
    throw error
  }
  return ''
}

describe('weir simulate', () => {
  it('takes a scenario and nothing else', () => {
    expect(given('a.yaml')).toMatchObject({ command: 'simulate', help: false, flags: {} })
    expect(given('a.yaml').simulate).toEqual({ scenario: 'a.yaml' })
  })

  it('takes its flags before and after the scenario, in every spelling', () => {
    const expected = {
      scenario: 'a.yaml',
      json: '-',
      html: 'page.html',
      schedulers: ['rr', 'mh', 'sed'],
      seed: 7,
      connections: 1000,
    }
    const written = [
      ['a.yaml', '--json', '-', '--html=page.html', '--schedulers=rr,mh,sed', '--seed', '7', '--connections=1000'],
      [
        '--json=-',
        '--html',
        'page.html',
        '--schedulers',
        'rr,mh',
        '--schedulers',
        'sed',
        '--seed=7',
        '--connections',
        '1000',
        'a.yaml',
      ],
      [
        '--seed=1',
        '--seed=7',
        '--json=-',
        '--html=page.html',
        '--schedulers=rr,mh,sed',
        '--connections=1000',
        '--',
        'a.yaml',
      ],
    ]
    for (const argv of written) expect(given(...argv).simulate).toEqual(expected)
    expect(given('--', '--odd.yaml').simulate).toEqual({ scenario: '--odd.yaml' })
  })

  test.each([
    [[], 'simulate needs a scenario: weir simulate SCENARIO.yaml'],
    [['a.yaml', 'b.yaml'], 'unexpected argument: b.yaml'],
    [['a.yaml', '--proxy-mode', 'iptables'], 'unknown flag: --proxy-mode'],
    [['a.yaml', '-x'], 'unknown flag: -x'],
    [['a.yaml', '--json'], 'flag needs an argument: --json'],
    [['a.yaml', '--html='], 'flag needs an argument: --html'],
    [['a.yaml', '--seed', 'x'], '--seed: "x" is no whole number'],
    [['a.yaml', '--seed=1.5'], '--seed: "1.5" is no whole number'],
    [['a.yaml', '--connections', '99999999999999999999'], '--connections: "99999999999999999999" is no whole number'],
    [['a.yaml', '--schedulers', 'rr,rr'], '--schedulers: rr is there twice'],
    [['a.yaml', '--json', '-', '--html', '-'], '--json and --html cannot both go to standard output'],
  ])('refuses %j', (argv, message) => {
    expect(errorOf(...argv)).toBe(message)
  })

  it('names the schedulers when it does not know one', () => {
    expect(errorOf('a.yaml', '--schedulers', 'rr,best,')).toMatch(
      /^--schedulers: unknown scheduler "best"; known are random, rr, .*twos\n--schedulers: unknown scheduler ""; known/,
    )
  })

  it('has its own help, and is in that of the program', () => {
    expect(given('a.yaml', '--help')).toMatchObject({ command: 'simulate', help: true })
    expect(parseSimulateOptions(['-h', '--nonsense'])).toBe('help')
    for (const flag of ['json', 'html', 'schedulers', 'seed', 'connections'])
      expect(simulateHelp()).toContain(`--${flag} `)
    expect(helpText()).toContain('weir simulate SCENARIO')
  })

  it('must come first, because its flags are its own', () => {
    expect(() => parseCommandLine(['--v=2', 'simulate'])).toThrow('simulate must come first')
    expect(() => parseCommandLine(['run', '--html=x'])).toThrow('unknown flag: --html')
  })
})
