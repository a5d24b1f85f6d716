import { type ConnectionCounts, movedInAll, rejected, type SchedulerResult } from './result.ts'
import { type Scenario, schedulerLabel } from './scenario.ts'

/** Goes up when a field changes its meaning or goes; new fields may come at any time. */
export const jsonVersion = 1

/**
 * The results as JSON text with a final newline, as docs/simulate.md describes it. Same scenario and seed, same bytes: numbers
 * have six significant digits, so the last bits of a logarithm do not show. null is what there is no value for.
 */
export const jsonReport = (scenario: Scenario, results: readonly SchedulerResult[]): string =>
  `${compact(
    JSON.stringify(
      {
        version: jsonVersion,
        title: scenario.title,
        seed: scenario.seed,
        connections: scenario.connections,
        protocol: scenario.protocol,
        duration: results[0]?.duration,
        notes: notesOn(scenario, results),
        results: results.map(resultJson),
      },
      rounded,
      2,
    ),
  )}\n`

/** Lists of numbers on one line. A line break in the text is never inside a string. */
const compact = (json: string): string =>
  json.replace(
    /\[\n\s*([-+.\de]+(?:,\n\s*[-+.\de]+)*)\n\s*\]/g,
    (_, numbers: string) => `[${numbers.replace(/\s+/g, '')}]`,
  )

/** What a reader of the results should know. */
export const notesOn = ({ events }: Scenario, [result]: readonly SchedulerResult[]): readonly string[] => {
  if (result === undefined || result.eventsReached >= events.length) return []
  const end = Number(result.duration.toPrecision(6))
  return events
    .slice(result.eventsReached)
    .map((_, i) => `events[${result.eventsReached + i}] is never reached: the last connection arrives at ${end} s`)
}

const resultJson = (result: SchedulerResult): object => {
  const { scheduler, flags, connections, servers, imbalance, queueing, response, changes, affinity, loadOverTime } =
    result
  return {
    scheduler,
    flags,
    label: schedulerLabel({ name: scheduler, flags }),
    connections: { ...connections, rejected: rejected(connections) } satisfies ConnectionCounts & { rejected: number },
    imbalance,
    queueing,
    response,
    moved: movedInAll(result),
    changes,
    affinity,
    servers: servers.map(({ utilisation, ...server }) => ({ ...server, utilisation: utilisation ?? null })),
    loadOverTime,
  }
}

const rounded = (_key: string, value: unknown): unknown => {
  if (value === undefined) return null
  return typeof value === 'number' && Number.isFinite(value) && !Number.isInteger(value)
    ? Number(value.toPrecision(6))
    : value
}
