#!/usr/bin/env node
import { readFile, writeFile } from 'node:fs/promises'
import { type CommandLine, parseCommandLine } from '../config/command-line.ts'
import type { Config } from '../config/config.ts'
import { toYaml } from '../config/effective.ts'
import { helpText } from '../config/help.ts'
import { loadConfig } from '../config/load.ts'
import { assertNever } from '../model/assert-never.ts'
import { createLogger } from '../observe/log/logger.ts'
import { systemClock } from '../sync/clock.ts'
import { cleanup } from './cleanup.ts'
import { configChanged } from './config-watch.ts'
import { describe, FatalError } from './fatal.ts'
import { render } from './render.ts'
import { run } from './run.ts'
import { versionText } from './version.ts'

const say = (text: string): void => void process.stdout.write(text)
const complain = (line: string): void => void process.stderr.write(`weir: ${line}\n`)

const readConfigFile = async (path: string | undefined): Promise<string | undefined> => {
  if (path === undefined || path === '') return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new FatalError(`cannot read the configuration file: ${describe(cause)}`, cause)
  }
}

/** A signal for SIGTERM and SIGINT; the second one ends the process at once. */
const stopSignal = (): AbortController => {
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
  if (commandLine.help) {
    say(helpText())
    return
  }
  if (commandLine.command === 'version') {
    say(`${versionText(commandLine.versionFormat)}\n`)
    return
  }
  const text = await readConfigFile(commandLine.flags['config'])
  const { config, warnings } = loadConfig(commandLine, text)
  await act(config, warnings, text, commandLine)
}

const act = async (
  config: Config,
  warnings: readonly string[],
  configText: string | undefined,
  { command }: CommandLine,
): Promise<void> => {
  const stop = stopSignal()
  const { signal } = stop
  switch (config.action) {
    case 'write-config':
      for (const line of warnings) complain(line)
      await writeFile(config.writeConfigTo ?? '/dev/stdout', toYaml(config.effective))
      return
    case 'cleanup':
      for (const line of warnings) complain(line)
      return await cleanup((line) => say(`${line}\n`), signal)
    case 'render':
      for (const line of warnings) complain(line)
      return await render(config, { out: say, warn: complain }, signal)
    case 'init-only':
      for (const line of warnings) complain(line)
      complain(`nothing to do for --init-only: ${command} in nftables mode sets nothing that needs more privilege`)
      return
    case 'run':
      return await serve(config, warnings, configText, stop)
    default:
      assertNever(config.action, 'action')
  }
}

const serve = async (
  config: Config,
  warnings: readonly string[],
  configText: string | undefined,
  stop: AbortController,
): Promise<void> => {
  const logger = createLogger({ format: config.logging.format, verbosity: config.logging.verbosity })
  for (const line of warnings) logger.warn(line)
  const running = run(config, logger, stop.signal)
  if (config.configFile === undefined || configText === undefined || config.once) return await running
  const changed = configChanged(config.configFile, configText, systemClock, stop.signal)
  const file = config.configFile
  await Promise.race([running, changed])
  if (!stop.signal.aborted) {
    stop.abort()
    await running
    throw new FatalError(`${file} has changed: ending, to be started again with the new configuration`)
  }
  await running
}

try {
  await main(process.argv.slice(2))
  process.exitCode = 0
} catch (error) {
  for (const line of describe(error).split('\n')) complain(line)
  process.exitCode = 1
}
// Listeners, watches and timers may still hold the process; everything that matters has been awaited.
process.exit()
