import { type ChildProcess, spawn } from 'node:child_process'
import { ExecError } from './exec-error.ts'

export interface RunOptions {
  readonly signal: AbortSignal
  /** Given on standard input, which is closed after it. Without it standard input is /dev/null. */
  readonly input?: string | Uint8Array
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds until the program is killed. Default 30,000. */
  readonly timeoutMs?: number
  /** Bytes of standard output, and of standard error, that are accepted. Default 16 MiB. */
  readonly maxOutput?: number
  /** Called with the process id once the program runs. Must not throw. */
  readonly onStart?: (pid: number) => void
}

export interface RunResult {
  /** The exit status. Anything but 0 is the program's answer, not an exception. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program: an argument vector, never a shell line. Throws {@link ExecError}. */
export type Run = (command: readonly string[], options: RunOptions) => Promise<RunResult>

const defaultTimeoutMs = 30_000
const defaultMaxOutput = 16 << 20

/**
 * The real {@link Run}. The program gets a process group of its own, so that a kill reaches what it has started, and
 * the C locale, so that its messages can be read. The promise settles only when the program is gone.
 */
export const run: Run = async (command, options) => {
  const [program, ...args] = command
  const op = command.join(' ')
  if (program === undefined) throw new ExecError('io', op, 'empty command')
  if (options.signal.aborted) throw new ExecError('aborted', op, 'aborted', options.signal.reason)
  const child = spawn(program, args, {
    detached: true,
    env: { ...process.env, ...options.env, LC_ALL: 'C' },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  if (child.pid !== undefined) options.onStart?.(child.pid)
  return supervise(child, op, options)
}

const supervise = (child: ChildProcess, op: string, options: RunOptions): Promise<RunResult> =>
  new Promise((resolve, reject) => {
    let failure: ExecError | undefined
    const stop = (error: ExecError): void => {
      failure ??= error
      killGroup(child)
    }
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs
    const timer = setTimeout(() => stop(new ExecError('timeout', op, `no end within ${timeoutMs} ms`)), timeoutMs)
    const onAbort = (): void => stop(new ExecError('aborted', op, 'aborted', options.signal.reason))
    options.signal.addEventListener('abort', onAbort, { once: true })
    const release = (): void => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', onAbort)
    }

    const maxOutput = options.maxOutput ?? defaultMaxOutput
    const tooMuch = (): void => stop(new ExecError('io', op, `more than ${maxOutput} bytes of output`))
    const stdout = collect(child.stdout, maxOutput, tooMuch)
    const stderr = collect(child.stderr, maxOutput, tooMuch)
    // A program may end without reading its input; its status says what it made of that.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input)

    child.on('error', (cause: NodeJS.ErrnoException) => {
      // Only a failed start is final here: after a start, 'close' still comes.
      if (child.pid !== undefined) return
      release()
      reject(new ExecError(cause.code === 'ENOENT' ? 'missing' : 'io', op, cause.message, cause))
    })
    child.on('close', (status, signal) => {
      release()
      if (failure !== undefined) reject(failure)
      else if (status === null) reject(new ExecError('signal', op, `killed by ${signal}`))
      else resolve({ status, stdout: stdout(), stderr: stderr() })
    })
  })

const collect = (stream: ChildProcess['stdout'], max: number, tooMuch: () => void): (() => string) => {
  const chunks: Buffer[] = []
  let size = 0
  stream?.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > max) tooMuch()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

const killGroup = (child: ChildProcess): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: the whole group has ended already.
  }
  // A descendant that left the group may hold the pipes open for ever; the result no longer matters.
  child.stdout?.destroy()
  child.stderr?.destroy()
}
