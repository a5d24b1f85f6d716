import { ExecError } from './exec-error.ts'
import type { Run, RunResult } from './run.ts'

/** What a fake program does with its arguments and input. A bare string is standard output with status 0. */
export type FakeProgram = (args: readonly string[], input: string) => RunResult | string

/** A {@link Run} over programs written in TypeScript; what is not among them is missing. `calls` records every call. */
export const fakeRun = (
  programs: Readonly<Record<string, FakeProgram>>,
): { readonly run: Run; readonly calls: readonly (readonly string[])[] } => {
  const calls: (readonly string[])[] = []
  const run: Run = async (command, { signal, input }) => {
    const op = command.join(' ')
    if (signal.aborted) throw new ExecError('aborted', op, 'aborted', signal.reason)
    calls.push(command)
    const [name = '', ...args] = command
    const program = programs[name]
    if (program === undefined) throw new ExecError('missing', op, `spawn ${name} ENOENT`)
    const text = typeof input === 'string' ? input : new TextDecoder().decode(input)
    const result = program(args, text)
    return typeof result === 'string' ? { status: 0, stdout: result, stderr: '' } : result
  }
  return { run, calls }
}
