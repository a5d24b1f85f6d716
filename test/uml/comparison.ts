/** What a program in the guest prints, a line of JSON each, for a test outside to judge. */
import { z } from 'zod'

const comparison = z.object({ name: z.string(), found: z.unknown(), wanted: z.unknown() })
export type Comparison = z.infer<typeof comparison>

export const writeComparison = (name: string, found: unknown, wanted: unknown): void => {
  process.stdout.write(`${JSON.stringify({ name, found, wanted })}\n`)
}

/** @throws ZodError, SyntaxError for what is no comparison */
export const readComparisons = (output: string): readonly Comparison[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => comparison.parse(JSON.parse(line)))
