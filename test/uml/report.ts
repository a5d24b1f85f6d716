/** What the guest prints, a line of JSON each: what became of every variant, then what there was. */
import { z } from 'zod'

const variantReport = z.object({
  kind: z.literal('variant'),
  name: z.string(),
  steps: z.number(),
  /** Connections that were tried, and for how many of them there was nobody. */
  picks: z.number(),
  nobody: z.number(),
  /** Where the kernel picked another server than ours, or counts or orders its servers otherwise: how often, and the first few. */
  disagreements: z.number(),
  examples: z.array(z.string()),
  /** A similar scheduler, and how many of the picks it would have got wrong. */
  rival: z.string(),
  rivalWrong: z.number(),
})
export type VariantReport = z.infer<typeof variantReport>

const endReport = z.object({
  kind: z.literal('end'),
  release: z.string(),
  overhead: z.string(),
  /** Schedulers that this kernel does not have. */
  missing: z.array(z.string()),
})

const report = z.discriminatedUnion('kind', [variantReport, endReport])
export type Report = z.infer<typeof report>

/** @throws ZodError, SyntaxError for what is no report */
export const readReports = (output: string): readonly Report[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => report.parse(JSON.parse(line)))

export const writeReport = (value: Report): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}
