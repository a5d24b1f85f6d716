/** A test that did not run, and the reason it gave. */
export interface Skip {
  readonly name: string
  readonly reason: string
}

/** What a runner reports: a count, and the names of everything that did not pass. */
export interface Tally {
  readonly passed: number
  readonly failed: readonly string[]
  readonly skipped: readonly Skip[]
}

export const emptyTally: Tally = { passed: 0, failed: [], skipped: [] }

export const sumTallies = (tallies: Iterable<Tally>): Tally => {
  let passed = 0
  const failed: string[] = []
  const skipped: Skip[] = []
  for (const tally of tallies) {
    passed += tally.passed
    failed.push(...tally.failed)
    skipped.push(...tally.skipped)
  }
  return { passed, failed, skipped }
}

/** The same tally with every name behind `prefix`. */
export const prefixTally = (prefix: string, { passed, failed, skipped }: Tally): Tally => ({
  passed,
  failed: failed.map((name) => `${prefix}${name}`),
  skipped: skipped.map(({ name, reason }) => ({ name: `${prefix}${name}`, reason })),
})

/** For machines that must be able to run everything: a test that was not run has failed. */
export const forbidSkips = ({ passed, failed, skipped }: Tally): Tally => ({
  passed,
  failed: [...failed, ...skipped.map(({ name, reason }) => `${name}: could not run: ${reason}`)],
  skipped: [],
})

export const tallyLine = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`
