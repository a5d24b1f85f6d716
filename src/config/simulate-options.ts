import { parseArgs } from 'node:util'
import { type Scheduler, schedulers } from '../model/scheduling.ts'
import { ConfigError, type Issue } from './config-error.ts'

/** What `weir simulate` was asked for. */
export interface SimulateOptions {
  /** A file. */
  readonly scenario: string
  /** Where the results go as JSON: a file, `-` for standard output, undefined for nowhere. */
  readonly json: string | undefined
  /** Where the page goes, in the same way. */
  readonly html: string | undefined
  /** These instead of the scenario's. */
  readonly schedulers: readonly Scheduler[] | undefined
  readonly seed: number | undefined
  readonly connections: number | undefined
}

/** Flag, what follows it, effect. They are flags of this command alone. */
const table = {
  json: ['FILE', 'Write the results as JSON; - is standard output, in place of the table.'],
  html: ['FILE', 'Write one page with charts, which loads nothing from elsewhere; - is standard output.'],
  schedulers: ['NAME,...', "Simulate these instead of the scenario's."],
  seed: ['N', "Instead of the scenario's."],
  connections: ['N', "Instead of the scenario's."],
} as const

type Name = keyof typeof table

export const simulateHelp = (): string => {
  const rows = Object.entries(table).map(([name, [value, effect]]) => `  --${name} ${value}\n      ${effect}`)
  return `weir simulate: compare the schedulers of LVS on a scenario

Usage:
  weir simulate SCENARIO.yaml [flags]

Prints a table. docs/simulate.md describes scenarios and results; examples/simulate has three to begin with.

${rows.join('\n')}
  -h, --help
      Print this and exit.`
}

/**
 * Parses what follows `weir simulate`, by the same rules as every other command line: `--name value`, `--name=value`, `_`
 * for `-`, `--` ends the flags, the last one wins, lists add up.
 *
 * @throws {ConfigError} code `usage`, listing every problem
 */
export const parseSimulateOptions = (argv: readonly string[]): SimulateOptions | 'help' => {
  const issues: Issue[] = []
  const values = new Map<Name, string>()
  const files: string[] = []
  const wrong = (field: string, reason: string): undefined => void issues.push({ field, reason })
  const { tokens } = parseArgs({ args: [...argv].map(dashed), options: spec, strict: false, tokens: true })
  for (const token of tokens) {
    if (token.kind === 'positional') files.push(token.value)
    else if (token.kind === 'option') {
      if (token.name === 'help') return 'help'
      const name = isName(token.name) ? token.name : undefined
      if (name === undefined) wrong(token.rawName, `unknown flag: ${token.rawName}`)
      else if (token.value === undefined || token.value === '')
        wrong(token.rawName, `flag needs an argument: --${name}`)
      else values.set(name, name === 'schedulers' ? added(values.get(name), token.value) : token.value)
    }
  }
  const [scenario = '', ...others] = files
  // A word that follows a bad flag may be its value.
  if (issues.length === 0) {
    if (scenario === '') wrong('SCENARIO', 'simulate needs a scenario: weir simulate SCENARIO.yaml')
    for (const word of others) wrong(word, `unexpected argument: ${word}`)
  }
  const options = {
    scenario,
    json: values.get('json'),
    html: values.get('html'),
    schedulers: schedulersOf(values.get('schedulers'), wrong),
    seed: wholeOf('seed', values.get('seed'), wrong),
    connections: wholeOf('connections', values.get('connections'), wrong),
  }
  if (options.json === '-' && options.html === '-')
    wrong('--html', '--json and --html cannot both go to standard output')
  if (issues.length > 0) throw new ConfigError('usage', issues)
  return options
}

const spec = {
  ...Object.fromEntries(Object.keys(table).map((name) => [name, { type: 'string' as const }])),
  help: { type: 'boolean', short: 'h' },
} as const

const isName = (name: string): name is Name => Object.hasOwn(table, name)

const dashed = (word: string): string => {
  const [, name, rest] = /^--([\w-]+)(=.*)?$/s.exec(word) ?? []
  return name === undefined ? word : `--${name.replaceAll('_', '-')}${rest ?? ''}`
}

const added = (before: string | undefined, more: string): string => (before === undefined ? more : `${before},${more}`)

type Wrong = (field: string, reason: string) => undefined

const schedulersOf = (list: string | undefined, wrong: Wrong): readonly Scheduler[] | undefined => {
  if (list === undefined) return undefined
  const names = list.split(',').map((name) => name.trim())
  return names.flatMap((name, i) => {
    const known = schedulers.find((one) => one === name)
    if (known === undefined)
      wrong('--schedulers', `--schedulers: unknown scheduler "${name}"; known are ${schedulers.join(', ')}`)
    if (names.indexOf(name) < i) wrong('--schedulers', `--schedulers: ${name} is there twice`)
    return known ?? []
  })
}

/** The range is the scenario's own business. */
const wholeOf = (flag: Name, text: string | undefined, wrong: Wrong): number | undefined => {
  if (text === undefined) return undefined
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : wrong(`--${flag}`, `--${flag}: "${text}" is no whole number`)
}
