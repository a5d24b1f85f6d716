import type { Logger } from 'pino'
import type { Family } from '../../model/ip.ts'
import type { SyncObserver } from '../../sync/events.ts'

/** What the sync loop does, in the log: failures always, successes only for those who asked for detail (`-v 3`). */
export const syncLog = (logger: Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>): Partial<SyncObserver> => ({
  ...flowLog(logger),
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

/** Of failures in a row the first is told: without permission, or without ctnetlink, every one fails. */
const flowLog = (
  logger: Pick<Logger, 'debug' | 'info' | 'warn'>,
): Pick<SyncObserver, 'flowsReconciled' | 'flowsFailed'> => {
  const failing = new Set<Family>()
  return {
    flowsReconciled: ({ family, durationMs, deleted }) => {
      if (failing.delete(family)) logger.info({ family }, 'Stale flows can be looked for again')
      logger.debug({ family, durationMs, deleted }, 'Looked for stale flows')
    },
    flowsFailed: ({ family, code, op, message, deleted, retryInMs }) => {
      const details = { family, code, op, err: message, deleted, retryInMs }
      if (failing.has(family)) logger.debug(details, 'Could not delete stale flows')
      else logger.warn(details, 'Could not delete stale flows')
      failing.add(family)
    },
  }
}
