import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A running weir, with its log at hand for the case that something goes wrong. */
export class Weir {
  readonly #child: ChildProcess
  #log = ''

  constructor(program: string, manifests: string, nodeName: string, flags: readonly string[]) {
    const options = ['--manifests', manifests, '--hostname-override', nodeName, ...flags]
    this.#child = spawn(process.execPath, [program, 'run', ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
    process.once('exit', () => this.#child.kill('SIGKILL'))
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text
      })
  }

  /** How it ended; undefined while it runs. */
  get ending(): string | undefined {
    const { exitCode, signalCode } = this.#child
    return exitCode === null && signalCode === null ? undefined : (signalCode ?? `status ${exitCode}`)
  }

  /** The last lines it wrote. */
  get logTail(): string {
    return this.#log.trimEnd().split('\n').slice(-20).join('\n')
  }

  /** Asks it to end, and waits until it has. */
  async stop(): Promise<void> {
    if (this.ending !== undefined) return
    const exit = once(this.#child, 'exit', { signal: AbortSignal.timeout(10_000) })
    this.#child.kill('SIGTERM')
    await exit
  }
}
