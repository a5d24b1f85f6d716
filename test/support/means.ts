import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { namespaceCommand } from './namespace.ts'

/** Bit numbers of linux/capability.h. */
const capabilities = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 } as const

/** Programs that the namespaces and the backends need, and the Debian package of each. */
const programs = {
  unshare: 'util-linux',
  setpriv: 'util-linux',
  ip: 'iproute2',
  nft: 'nftables',
} as const

/** What this machine lacks for network namespaces with rulesets of their own; empty when they work. */
export const missingMeans = (): readonly string[] => {
  const missing = [...lackedCapabilities(readFileSync('/proc/self/status', 'utf8')), ...missingPrograms(programs)]
  if (missing.length > 0) return missing
  const [command, ...args] = namespaceCommand(['nft', 'list', 'ruleset'])
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? [] : [`namespaces with nftables: ${stderr.trim().replaceAll(/\s*\n\s*/g, '; ')}`]
}

/** Names of {@link capabilities} that a /proc/PID/status does not show as effective. */
export const lackedCapabilities = (status: string): readonly string[] => {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return Object.entries(capabilities)
    .filter(([, bit]) => ((effective >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => name)
}

/** Those of these programs that are not installed, in words. `wanted`: the Debian package of each. */
export const missingPrograms = (wanted: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(wanted)
    .filter(([program]) => !isInstalled(program))
    .map(([program, debian]) => `the program ${program} (Debian package ${debian})`)

const { PATH = '' } = process.env

const isInstalled = (program: string): boolean =>
  PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
