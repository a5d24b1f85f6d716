import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readComparisons } from '../uml/comparison.ts'
import { ownNamespace } from './namespace.ts'
import { describeOutcome, type GuestOutcome, runInGuest } from './uml.ts'
import { missingGuestMeans } from './uml-means.ts'

export interface GuestComparisons {
  /** A program of test/uml that prints comparisons, without its ending. */
  readonly program: string
  /** So many it prints at least, if it was not cut short. */
  readonly least: number
  /** When the guest is killed; 170 000 unless given. */
  readonly timeoutMs?: number
}

/**
 * A test file whose work is done by one program in a guest: each comparison that it prints is a test. Where the machine cannot
 * run guests the file is skipped, with the reason. Gives back what the guest said.
 */
export const playComparisons = async (
  moduleUrl: string,
  { program, least, timeoutMs = 170_000 }: GuestComparisons,
): Promise<GuestOutcome | undefined> => {
  ownNamespace(moduleUrl)
  const { signal } = new AbortController()
  const missing = await missingGuestMeans(signal)
  if (missing.length > 0) {
    t.plan(0, `this machine lacks ${missing.join(', ')}`)
    return undefined
  }
  const script = fileURLToPath(new URL(`../uml/${program}.js`, import.meta.url))
  const outcome = await runInGuest({ script, timeoutMs }, signal)
  const comparisons = readComparisons(outcome.output)
  for (const { name, found, wanted } of comparisons) t.same(found, wanted, name)
  t.match(outcome, { kind: 'exited', status: 0 }, 'the program in the guest', { guest: describeOutcome(outcome) })
  t.ok(comparisons.length >= least, 'everything was compared', { count: comparisons.length })
  return outcome
}
