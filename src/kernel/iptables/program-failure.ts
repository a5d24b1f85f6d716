import { readFile } from 'node:fs/promises'
import { IptablesError, type IptablesErrorCode } from './iptables-error.ts'
import type { Refusal } from './refusal.ts'

/** What a program of this folder wrote to standard error, without its advice and its complaints about waiting. */
export const oneLine = (said: string): string =>
  said
    .replaceAll(/^(?:Try `.*|# Warning: .*|Can't lock .*)$/gm, '')
    .trim()
    .replaceAll(/:?\s*\n\s*/g, '; ')

/** The error for a program that ended with another status than 0. */
export const failure = async (
  command: readonly string[],
  status: number,
  stderr: string,
  { reason, ...detail }: Refusal,
): Promise<IptablesError> =>
  new IptablesError(await codeOf(stderr), command.join(' '), reason || `exit status ${status}`, detail)

/** Exit status 4 would not do for a held lock: the nft variant ends with it for whatever the kernel refuses. */
const codeOf = async (stderr: string): Promise<IptablesErrorCode> => {
  if (/holding the xtables lock/.test(stderr)) return 'locked'
  if (/Permission denied|Operation not permitted|you must be root/.test(stderr)) return 'permission'
  if (/can't open lock file/.test(stderr)) return 'io'
  // The legacy iptables-restore does not say why it cannot read a table.
  if (/unable to initialize table/.test(stderr) && !(await hasCapabilities('legacy'))) return 'permission'
  return 'rejected'
}

/** linux/capability.h */
const CAP_NET_ADMIN = 1n << 12n
const CAP_NET_RAW = 1n << 13n

/** Tables need NET_ADMIN; the legacy programs, and those that look a set up by name, ask through a raw socket. */
export const neededCapabilities = {
  nft: CAP_NET_ADMIN,
  legacy: CAP_NET_ADMIN | CAP_NET_RAW,
  sets: CAP_NET_ADMIN | CAP_NET_RAW,
} as const

/** Whether this process has what is needed, as far as `status` (proc_pid_status(5)) shows it. */
export const hasCapabilities = async (
  what: keyof typeof neededCapabilities,
  status = '/proc/self/status',
): Promise<boolean> => {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile(status, 'utf8').catch(() => ''))?.[1]
  const needed = neededCapabilities[what]
  return effective === undefined || (BigInt(`0x${effective}`) & needed) === needed
}
