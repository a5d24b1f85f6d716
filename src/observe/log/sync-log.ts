import type { Logger } from 'pino'
import type { SyncObserver } from '../../sync/events.ts'

/** What the sync loop does, in the log: failures always, successes only for those who asked for detail (`-v 3`). */
export const syncLog = (logger: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>): Partial<SyncObserver> => ({
  loopStarted: ({ family }) => logger.info({ family }, 'Started to sync'),
  applied: ({ family, kind, durationMs, added, removed, structure }) =>
    logger.debug({ family, kind, durationMs, added, removed, structure }, 'Applied changes'),
  failed: ({ family, kind, code, op, message, retryInMs }) =>
    logger.error({ family, kind, code, op, err: message, retryInMs }, 'Sync failed'),
  driftRepaired: ({ family, reason, added, removed }) =>
    logger.warn({ family, reason, added, removed }, 'Repaired what something else had changed'),
  cleanupFailed: ({ family, code, op, message }) =>
    logger.warn({ family, code, op, err: message }, 'Could not remove stale state'),
  nodeEligible: ({ eligible, seen }) => logger.info({ eligible, seen }, 'Node eligibility for traffic'),
})
