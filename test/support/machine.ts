import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

/** A program that runs, with pipes. */
export interface Program {
  readonly stdin: Writable
  readonly stdout: Readable
  /** How it ended, when all its output is there: undefined for status 0, else the status or signal and its standard error. */
  readonly ended: Promise<string | undefined>
  /** SIGKILL */
  kill(): void
}

export interface StartOptions {
  /** Standard error is told with the end of the program; otherwise it is this process's own. */
  readonly collectErrors?: boolean
}

/** Where programs run. */
export interface Machine {
  start(argv: readonly string[], options?: StartOptions): Program
}

/** The kernel and the network namespace of this process. */
export const thisMachine: Machine = {
  start: ([command = '', ...args], { collectErrors = false } = {}) => {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    const { stdin, stdout, stderr } = child
    let errors = ''
    if (collectErrors)
      stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text
      })
    else stderr.pipe(process.stderr)
    // Whoever writes to a program that has ended hears of its end.
    stdin.on('error', () => {})
    const ended = once(child, 'close').then(
      ([status, killer]: unknown[]) => (status === 0 ? undefined : `ended with ${killer ?? status}\n${errors}`.trim()),
      String,
    )
    return { stdin, stdout, ended, kill: () => void child.kill('SIGKILL') }
  },
}

const patienceMs = 30_000

/** Runs a program to its end; its standard output. Rejects when it fails, or takes too long. */
export const runOn = async (
  machine: Machine,
  argv: readonly string[],
  { input = '', signal }: { readonly input?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<string> => {
  const program = machine.start(argv, { collectErrors: true })
  const timer = setTimeout(() => program.kill(), patienceMs)
  const onAbort = (): void => program.kill()
  signal?.addEventListener('abort', onAbort)
  let output = ''
  program.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  program.stdin.end(input)
  const failure = await program.ended
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
  signal?.throwIfAborted()
  if (failure !== undefined) throw new Error(`${argv.join(' ')}: ${failure}`)
  return output
}
