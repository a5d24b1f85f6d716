import { readdirSync, readFileSync } from 'node:fs'

/** Descriptors that stay free for everybody else: the API server, logs, health servers. A tenth of the limit, 8 to 64. */
const reserve = (limit: number): number => Math.max(8, Math.min(64, Math.floor(limit / 10)))

const softLimit = (limits: string): number => {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1]
  const value = Number(soft)
  return Number.isInteger(value) ? value : 2 ** 30
}

/** How many descriptors this process may still open for connections and listeners (RLIMIT_NOFILE, proc_pid_limits(5)). */
export const freeDescriptors = (): number => {
  const limit = softLimit(readFileSync('/proc/self/limits', 'utf8'))
  const open = readdirSync('/proc/self/fd').length
  return Math.max(4, limit - open - reserve(limit))
}
