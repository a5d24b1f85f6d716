import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { libc } from '../libc.ts'
import { IptablesError } from './iptables-error.ts'

/** sys/file.h */
const LOCK_EX = 2
const LOCK_NB = 4

const retryMs = 20

/** The lock that every legacy iptables program takes for a commit (iptables/xshared.c, xtables_lock). */
export const xtablesLockFile = (): string => {
  const { XTABLES_LOCKFILE } = process.env
  return XTABLES_LOCKFILE || '/run/xtables.lock'
}

/**
 * Environment for a legacy program that is run while this process has the lock: it locks something of its own. Not
 * /dev/null, which others may have locked.
 */
export const underLock = { XTABLES_LOCKFILE: '/proc/self/status' } as const

/** Does `work` while no other program commits to a legacy table. Throws {@link IptablesError} `locked` or `io`. */
export const withXtablesLock = async <T>(
  patienceMs: number,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> => {
  const path = xtablesLockFile()
  await using file = await openLock(path)
  const giveUpAt = performance.now() + patienceMs
  while (!tryLock(file.fd)) {
    if (performance.now() > giveUpAt)
      throw new IptablesError('locked', `lock ${path}`, `another program has kept it for ${patienceMs / 1_000} s`)
    await sleep(retryMs, undefined, { signal })
  }
  // Closing the file, which no child inherits, gives the lock back.
  return await work()
}

const openLock = async (path: string): Promise<FileHandle> => {
  try {
    return await open(path, 'a', 0o600)
  } catch (cause) {
    throw new IptablesError(isDenied(cause) ? 'permission' : 'io', `open ${path}`, String(cause), { cause })
  }
}

const isDenied = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && (cause.code === 'EACCES' || cause.code === 'EPERM')

const tryLock = (fd: number): boolean => libc().flock(fd, LOCK_EX | LOCK_NB) === 0
