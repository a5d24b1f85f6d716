#!/usr/bin/env node
import './memory.ts'
import { readFile, writeFile } from 'node:fs/promises'
import { parseCommandLine } from '../config/command-line.ts'
import type { Action, Config } from '../config/config.ts'
import { toYaml } from '../config/effective.ts'
import { helpText } from '../config/help.ts'
import { loadConfig } from '../config/load.ts'
import { type SimulateOptions, simulateHelp } from '../config/simulate-options.ts'
import { assertNever } from '../model/assert-never.ts'
import { createLogger } from '../observe/log/logger.ts'
import { systemClock } from '../sync/clock.ts'
import { cleanup } from './cleanup.ts'
import { configChanged } from './config-watch.ts'
import { describe, FatalError } from './fatal.ts'
import { initOnly } from './init-only.ts'
import { TextOutput } from './output.ts'
import { render } from './render.ts'
import { run } from './run.ts'
import { simulate } from './simulate.ts'
import { screenOf, styleOf } from './simulate-terminal.ts'
import { status } from './status.ts'
import { versionText } from './version.ts'

const output = new TextOutput(process.stdout, 'standard output')
const errors = new TextOutput(process.stderr, 'standard error')
const say = (text: string): void => output.write(text)
const complain = (line: string): void => errors.write(`weir: ${line}\n`)
/** Where the reason of an end goes: who collects JSON would not see a line of text. */
let lament = complain

const readConfigFile = async (path: string | undefined): Promise<string | undefined> => {
  if (path === undefined || path === '') return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new FatalError(`cannot read the configuration file: ${describe(cause)}`, cause)
  }
}

/** For SIGTERM and SIGINT; the second one ends the process at once. */
const stopOnSignals = (): AbortController => {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1)
      stop.abort()
    })
  }
  return stop
}

const main = async (argv: readonly string[]): Promise<void> => {
  const commandLine = parseCommandLine(argv)
  if (commandLine.help) return say(`${commandLine.command === 'simulate' ? simulateHelp() : helpText()}\n`)
  if (commandLine.simulate !== undefined) return compare(commandLine.simulate, stopOnSignals().signal)
  if (commandLine.command === 'version') return say(`${versionText(commandLine.versionFormat)}\n`)
  const configText = await readConfigFile(commandLine.flags['config'])
  const { config, warnings } = loadConfig(commandLine, configText)
  const { action } = config
  const stop = stopOnSignals()
  if (action === 'run') return serve(config, warnings, configText, stop)
  // Clean-up and status are the same whatever the settings.
  if (action !== 'cleanup' && action !== 'status') for (const line of warnings) complain(line)
  await act(action, config, stop.signal)
}

const act = async (action: Exclude<Action, 'run'>, config: Config, signal: AbortSignal): Promise<void> => {
  switch (action) {
    case 'write-config':
      return writeConfig(config)
    case 'cleanup':
      return cleanup((line) => say(`${line}\n`), signal)
    case 'render':
      return render(config, { out: say, warn: complain }, signal)
    case 'status':
      return status(config, say, signal)
    case 'init-only':
      return initOnly(config, complain, signal)
    default:
      assertNever(action, 'action')
  }
}

const compare = (options: SimulateOptions, signal: AbortSignal): Promise<void> => {
  const { env, stdout, stderr } = process
  return simulate(options, { out: say, style: styleOf(stdout, env), screen: screenOf(stderr, env) }, signal)
}

const writeConfig = async ({ writeConfigTo = '', effective }: Config): Promise<void> => {
  // Not by its path: that of a socket cannot be opened.
  if (writeConfigTo === '/dev/stdout') return say(toYaml(effective))
  try {
    await writeFile(writeConfigTo, toYaml(effective))
  } catch (cause) {
    throw new FatalError(`cannot write the configuration: ${describe(cause)}`, cause)
  }
}

const serve = async (
  config: Config,
  warnings: readonly string[],
  configText: string | undefined,
  stop: AbortController,
): Promise<void> => {
  const logger = createLogger({ format: config.logging.format, verbosity: config.logging.verbosity })
  if (config.logging.format === 'json') lament = (line) => logger.fatal(line)
  for (const line of warnings) logger.warn(line)
  const running = run(config, logger, stop.signal)
  const { configFile } = config
  if (configFile === undefined || configText === undefined || config.once) return running
  await Promise.race([running, configChanged(configFile, configText, systemClock, stop.signal)])
  if (stop.signal.aborted) return running
  stop.abort()
  await running
  throw new FatalError(`${configFile} has changed: ending, to be started again with the new configuration`)
}

const end = async (status: number): Promise<never> => {
  let code = status
  await output.flush().catch((error: unknown) => {
    complain(describe(error))
    code = 1
  })
  await errors.flush().catch(() => {})
  // Listeners, watches and timers may still hold the process; everything that matters has been awaited.
  process.exit(code)
}

try {
  await main(process.argv.slice(2))
  await end(0)
} catch (error) {
  for (const line of describe(error).split('\n')) lament(line)
  await end(1)
}
