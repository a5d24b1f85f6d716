import { ConfigError, type Issue } from './config-error.ts'
import { type FlagKindValue, type FlagValues, readFlagValue } from './flag-values.ts'
import { type Flag, type FlagKind, flags, ignoredFlags } from './flags.ts'
import { parseSimulateOptions, type SimulateOptions } from './simulate-options.ts'

export const commands = ['run', 'render', 'status', 'cleanup', 'simulate', 'version'] as const
export type Command = (typeof commands)[number]

export interface CommandLine {
  /** `cleanup` and `version` also when they were asked for by `--cleanup` and `--version`. */
  readonly command: Command
  /** `-h` or `--help`: print {@link helpText} and exit 0, whatever else was given; of `simulate`, its own. */
  readonly help: boolean
  /** Of command `simulate`, which has flags of its own and must be the first word. */
  readonly simulate?: SimulateOptions
  /** How `version` is to be printed. */
  readonly versionFormat: 'text' | 'raw'
  readonly flags: FlagValues
  /** Accepted flags without effect. loadConfig passes them on. */
  readonly warnings: readonly string[]
}

type AnyFlagValue = FlagKindValue[FlagKind]

const byName: ReadonlyMap<string, Flag> = new Map(flags.map((flag) => [flag.name, flag]))
const noValueNeeded = (kind: FlagKind | 'bool' | 'string'): boolean => kind === 'bool' || kind === 'version'

/**
 * Parses what follows the program's name by the rules of kube-proxy's flag library (spf13/pflag): `--name=value`,
 * `--name value`, `_` for `-`, `-v2`, `-v 2`, `--` ends the flags, the last scalar wins, lists add up.
 *
 * @throws {ConfigError} code `usage`, listing every problem.
 */
export const parseCommandLine = (argv: readonly string[]): CommandLine => {
  if (argv[0] === 'simulate') return simulateCommandLine(argv.slice(1))
  const state = new Parsing(argv)
  state.run()
  if (state.help) return { command: 'run', help: true, versionFormat: 'text', flags: {}, warnings: [] }
  const issues = state.allIssues()
  if (issues.length > 0) throw new ConfigError('usage', issues)
  // The table decides both the name and the kind of every value in the map, so this is the shape of FlagValues.
  const values = Object.fromEntries(state.values) as FlagValues
  const asked = values.version
  const wantsVersion = asked === 'true' || asked === 'raw'
  const warnings = [...state.warnings]
  if (asked?.startsWith('v') === true) warnings.push(notActedOn('--version=vX.Y.Z'))
  return {
    command: wantsVersion ? 'version' : values.cleanup === true && state.command === 'run' ? 'cleanup' : state.command,
    help: false,
    versionFormat: asked === 'raw' ? 'raw' : 'text',
    flags: values,
    warnings,
  }
}

const simulateCommandLine = (argv: readonly string[]): CommandLine => {
  const simulate = parseSimulateOptions(argv)
  const line = { command: 'simulate', versionFormat: 'text', flags: {}, warnings: [] } as const
  return simulate === 'help' ? { ...line, help: true } : { ...line, help: false, simulate }
}

const problem = (field: string, reason: string): Issue => ({ field, reason })

const notActedOn = (name: string): string => `${name} is accepted, but weir does not act on it`

class Parsing {
  command: Command = 'run'
  help = false
  readonly values = new Map<string, AnyFlagValue>()
  readonly warnings = new Set<string>()
  private readonly issues: Issue[] = []
  private readonly positional: string[] = []
  private at = 0
  private readonly argv: readonly string[]

  constructor(argv: readonly string[]) {
    this.argv = argv
  }

  run(): void {
    while (this.at < this.argv.length) {
      const word = this.argv[this.at++] ?? ''
      if (word === '--') {
        this.positional.push(...this.argv.slice(this.at))
        break
      }
      const issue = this.word(word)
      if (issue !== undefined) this.issues.push(issue)
    }
  }

  private word(word: string): Issue | undefined {
    if (word.startsWith('--')) return this.long(word.slice(2))
    if (word.startsWith('-') && word !== '-') return this.short(word)
    this.positional.push(word)
    return undefined
  }

  /** A word that follows a bad flag may be its value, so positional words are only judged when the flags are fine. */
  allIssues(): readonly Issue[] {
    const [first, ...others] = this.positional.filter((word) => word !== '')
    const command = commands.find((name) => name === first)
    if (command !== undefined) this.command = command
    const unexpected = first === undefined || command !== undefined ? others : [first, ...others]
    if (this.issues.length > 0) return this.issues
    if (command === 'simulate')
      return [problem(command, 'simulate must come first: weir simulate SCENARIO.yaml [flags]')]
    return unexpected.map((word) => ({ field: word, reason: `unexpected argument: ${word}` }))
  }

  private long(body: string): Issue | undefined {
    const equals = body.indexOf('=')
    const written = equals < 0 ? body : body.slice(0, equals)
    const inline = equals < 0 ? undefined : body.slice(equals + 1)
    if (written === '' || written.startsWith('-')) return problem(`--${body}`, `bad flag syntax: --${body}`)
    const name = written.replaceAll('_', '-')
    if (name === 'help') return this.helpFlag(inline)
    const flag = byName.get(name)
    const kind = flag?.kind ?? ignoredFlags.get(name)
    if (kind === undefined) return problem(`--${written}`, `unknown flag: --${written}`)
    const text = inline ?? (noValueNeeded(kind) ? 'true' : this.argv[this.at++])
    if (text === undefined) return problem(`--${name}`, `flag needs an argument: --${name}`)
    if (flag !== undefined) return this.set(flag, text)
    this.warnings.add(notActedOn(`--${name}`))
    return undefined
  }

  private short(word: string): Issue | undefined {
    let rest = word.slice(1)
    while (rest !== '') {
      const letter = rest.charAt(0)
      rest = rest.slice(1)
      if (letter === 'h') {
        this.help = true
        continue
      }
      const flag = flags.find((candidate) => 'shorthand' in candidate && candidate.shorthand === letter)
      if (flag === undefined) return problem(word, `unknown shorthand flag: '${letter}' in ${word}`)
      const text = rest === '' ? this.argv[this.at++] : rest.replace(/^=/, '')
      if (text === undefined) return problem(`-${letter}`, `flag needs an argument: '${letter}' in ${word}`)
      return this.set(flag, text)
    }
    return undefined
  }

  private helpFlag(inline: string | undefined): Issue | undefined {
    const result = readFlagValue('bool', inline ?? 'true', undefined)
    if ('wrong' in result) return problem('--help', `invalid argument "${inline}" for "--help" flag: ${result.wrong}`)
    this.help = result.value === true
    return undefined
  }

  private set(flag: Flag, text: string): Issue | undefined {
    const shown = 'shorthand' in flag ? `-${flag.shorthand}, --${flag.name}` : `--${flag.name}`
    // `before` was stored under this very flag, hence has its kind.
    const before = this.values.get(flag.name) as never
    const result = readFlagValue<FlagKind>(flag.kind, text, before)
    if ('wrong' in result) {
      return problem(`--${flag.name}`, `invalid argument "${text}" for "${shown}" flag: ${result.wrong}`)
    }
    if (result.value !== undefined) this.values.set(flag.name, result.value)
    if (flag.name === 'healthz-port' || flag.name === 'metrics-port') {
      const instead = flag.name.replace('port', 'bind-address')
      this.warnings.add(`--${flag.name} is deprecated: use --${instead} instead`)
    }
    return undefined
  }
}
