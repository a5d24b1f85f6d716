/**
 * Programs of ours in a guest: user-mode Linux (Debian package user-mode-linux), a kernel that runs as a process and has
 * what the machine's own may lack, such as IPVS and dummy devices. Its root is this machine's disk, read-only, with
 * a /tmp and a /run of its own; the program is process 1's child, as root.
 *
 *     const missing = await missingGuestMeans(signal)                      // uml-means.ts
 *     const outcome = await runInGuest({ script: new URL('../uml/schedulers.js', import.meta.url) }, signal)
 *     t.match(outcome, { kind: 'exited', status: 0 }, describeOutcome(outcome))
 *
 * Several may run at once. Each has one processor, and it takes about two seconds until the program begins.
 */
import { spawn } from 'node:child_process'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { namespaceCommand, processNamespaceCommand } from './namespace.ts'

/** As seen from the compiled file, build/test/support/uml.js. */
const boot = fileURLToPath(new URL('../../../test/uml/boot.sh', import.meta.url))

export interface GuestLimits {
  /** When it is killed; 120 000 unless given. */
  readonly timeoutMs?: number
  /** Memory in MiB, which the machine gives as the guest uses it; 512 unless given. */
  readonly mem?: number
  /**
   * A device of this process's network namespace: what comes in by it gets to the guest by its vec0, and the other way round.
   * Only inside `ownNamespace`, or another namespace of `namespaceCommand`. Without it the guest is alone.
   */
  readonly device?: string
}

export interface GuestRun extends GuestLimits {
  /** A compiled program of ours, for this process's Node.js. */
  readonly script: string | URL
  readonly args?: readonly string[]
  /** Variables of the environment, beyond those of every guest. */
  readonly env?: Readonly<Record<string, string>>
}

export interface GuestOutput {
  /** Standard output of the program. */
  readonly output: string
  /** Its standard error, among what the guest's kernel and set-up said. */
  readonly console: string
}

export type GuestOutcome = GuestOutput &
  (
    | { readonly kind: 'exited'; readonly status: number }
    | { readonly kind: 'timedOut'; readonly afterMs: number }
    /** The guest ended before the program did: it could not boot, or its kernel panicked. */
    | { readonly kind: 'broke' }
  )

/**
 * Boots a guest, runs the program in it, and waits for the guest's end. Nothing stays behind, however this process ends: no
 * process, no file. Needs root. Rejects with the reason of `signal`, or when no process can be started.
 */
export const runInGuest = (
  { script, args = [], env = {}, ...limits }: GuestRun,
  signal: AbortSignal,
): Promise<GuestOutcome> => {
  const path = script instanceof URL ? fileURLToPath(script) : script
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const command = ['env', ...assignments, process.execPath, path, ...args]
  return runCommandInGuest(`exec ${command.map(quoted).join(' ')}`, limits, signal)
}

/** The same for a line of sh(1). */
export const runCommandInGuest = async (
  line: string,
  { timeoutMs = 120_000, mem = 512, device }: GuestLimits,
  signal: AbortSignal,
): Promise<GuestOutcome> => {
  signal.throwIfAborted()
  const argv = ['sh', boot, `${mem}M`, line, ...(device === undefined ? [] : [device])]
  const [command, ...args] = device === undefined ? namespaceCommand(argv) : processNamespaceCommand(argv)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  const said = { output: '', console: '' }
  for (const [fd, name] of [
    [1, 'console'],
    [2, 'console'],
    [3, 'output'],
  ] as const) {
    const stream = child.stdio[fd]
    if (!(stream instanceof Readable)) throw new Error(`descriptor ${fd} is no pipe`)
    stream.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  // With this process all in its namespace are killed, the guest among them.
  const kill = (): boolean => child.kill('SIGKILL')
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    kill()
  }, timeoutMs)
  signal.addEventListener('abort', kill)
  try {
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', kill)
  }
  signal.throwIfAborted()
  const last = lastLine.exec(said.output)
  if (last !== null)
    return { kind: 'exited', status: Number(last[1]), ...said, output: said.output.slice(0, last.index) }
  return timedOut ? { kind: 'timedOut', afterMs: timeoutMs, ...said } : { kind: 'broke', ...said }
}

/** An outcome as one would tell it, with the last of what was said. */
export const describeOutcome = (outcome: GuestOutcome): string => `${ending(outcome)}\n${outcome.console.slice(-4000)}`

const ending = (outcome: GuestOutcome): string => {
  switch (outcome.kind) {
    case 'exited':
      return `the program in the guest ended with status ${outcome.status}`
    case 'timedOut':
      return `the guest was killed after ${outcome.afterMs / 1000} s`
    case 'broke':
      return 'the guest ended before its program'
  }
}

/** What init.sh adds when the program is through, whether or not the program ended its own last line. */
const lastLine = /exit (\d+)\n$/

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`
