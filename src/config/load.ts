import { withAlwaysFlags, withFlags } from './apply-flags.ts'
import { buildConfig } from './build.ts'
import type { CommandLine } from './command-line.ts'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { decodeConfiguration, emptyFile } from './decode.ts'
import { withDefaults } from './defaults.ts'
import { activeOf } from './effective.ts'
import { periodSection } from './mode.ts'
import type { FileSettings } from './shape.ts'
import { flagsBesideFile, givenFlags, supportWarnings } from './support.ts'

export interface LoadedConfig {
  readonly config: Config
  /** One line each: what was accepted without effect, with the command line's own warnings. */
  readonly warnings: readonly string[]
}

/**
 * Turns the command line and the text of the `--config` file, if there is one, into the configuration, in kube-proxy's
 * order: decode, default, flags, validate. With a file only the flags marked `withConfig` in the flag table count.
 *
 * @throws {ConfigError} listing every problem of the first of those steps that has any.
 */
export const loadConfig = (commandLine: CommandLine, configFileText: string | undefined): LoadedConfig => {
  const { flags } = commandLine
  if (flags['hostname-override']?.trim() === '' && flags['hostname-override'] !== '') {
    throw new ConfigError('usage', [{ field: '--hostname-override', reason: '--hostname-override must not be blank' }])
  }
  const decoded = configFileText === undefined ? undefined : decodeConfiguration(configFileText)
  const file = decoded?.settings ?? emptyFile
  const fromFile = withDefaults(file)
  const chosen = decoded === undefined ? withFlags(fromFile, flags) : fromFile
  const settings = withAlwaysFlags(chosen, flags)
  const explicit =
    decoded === undefined ? flagSetsMinSyncPeriod(settings.mode, commandLine) : fileSetsMinSyncPeriod(file)
  const config = buildConfig(settings, activeOf(settings, explicit), commandLine)
  const defaults = decoded === undefined ? withFlags(withDefaults(emptyFile), {}) : withDefaults(emptyFile)
  const { counted, overruled } =
    decoded === undefined ? { counted: givenFlags(flags), overruled: [] } : flagsBesideFile(flags)
  return {
    config,
    warnings: [
      ...(decoded?.warnings ?? []),
      ...commandLine.warnings,
      ...overruled.map((name) => `--${name} is ignored because --config is given`),
      ...supportWarnings(settings, defaults, counted),
    ],
  }
}

const fileSetsMinSyncPeriod = (file: FileSettings): boolean => {
  const { minSyncPeriod } = file[periodSection(file.mode ?? '')]
  return minSyncPeriod !== undefined && minSyncPeriod !== 0n
}

const flagSetsMinSyncPeriod = (mode: string, { flags }: CommandLine): boolean =>
  flags[mode === 'ipvs' ? 'ipvs-min-sync-period' : 'iptables-min-sync-period'] !== undefined
