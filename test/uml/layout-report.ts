import { z } from 'zod'

const report = z.object({ family: z.enum(['IPv4', 'IPv6']), name: z.string(), got: z.string(), want: z.string() })
/** What became of one connection, or one ping. */
export type LayoutReport = z.infer<typeof report>

export const writeReport = (value: LayoutReport): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** @throws ZodError, SyntaxError for what is no report */
export const readReports = (output: string): readonly LayoutReport[] =>
  output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => report.parse(JSON.parse(line)))
