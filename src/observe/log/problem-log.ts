import type { Logger } from 'pino'
import { objectName } from '../../model/problem.ts'
import type { SyncEvents, SyncObserver } from '../../sync/events.ts'
import type { Clock } from '../clock.ts'

export interface ProblemLogOptions {
  readonly clock: Clock
  /** Milliseconds during which the same problem is not logged again. */
  readonly windowMs?: number
  /** How many problems are remembered; the longest unseen are forgotten first. */
  readonly limit?: number
}

interface Seen {
  readonly loggedAt: number
  readonly repeats: number
}

/**
 * One warning per problem, naming the object and the field. A problem that is told again word for word stays silent
 * for a while; its next line says how often that happened.
 */
export const problemLog = (
  logger: Pick<Logger, 'warn'>,
  { clock, windowMs = 600_000, limit = 4_096 }: ProblemLogOptions,
): Pick<SyncObserver, 'problem'> => {
  const seen = new Map<string, Seen>()

  const remember = (key: string, value: Seen): void => {
    // Deleting first moves the key to the end: the map's order is then the order of the last sight.
    seen.delete(key)
    seen.set(key, value)
    if (seen.size <= limit) return
    for (const oldest of seen.keys()) {
      seen.delete(oldest)
      return
    }
  }

  return {
    problem: ({ problem, source }: SyncEvents['problem']) => {
      const { object, field, reason } = problem
      const key = JSON.stringify([source, object.kind, object.namespace, object.name, field, reason])
      const now = clock.monotonic()
      const last = seen.get(key)
      if (last !== undefined && now - last.loggedAt < windowMs) {
        remember(key, { loggedAt: last.loggedAt, repeats: last.repeats + 1 })
        return
      }
      const repeats = last === undefined || last.repeats === 0 ? {} : { repeats: last.repeats }
      logger.warn({ object: objectName(object), field, source, ...repeats }, reason)
      remember(key, { loggedAt: now, repeats: 0 })
    },
  }
}
