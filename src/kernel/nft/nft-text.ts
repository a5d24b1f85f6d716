import { spawn } from 'node:child_process'
import { KernelError, type KernelErrorCode } from '../netlink/error.ts'

const outputLimit = 64 * 1024

export interface NftProgram {
  /** Name or path of the program. */
  readonly path: string
  /** Told the process id while the program runs. */
  readonly onStart?: (pid: number) => void
  readonly onEnd?: (pid: number) => void
}

/** What nft writes of the kernel's answers (strerror) into its messages. */
const reasons: readonly (readonly [text: string, code: KernelErrorCode])[] = [
  ['Operation not permitted', 'permission'],
  ['File exists', 'exists'],
  ['No such file or directory', 'notFound'],
  ['Device or resource busy', 'busy'],
  ['not supported', 'unsupported'],
  ['Message too long', 'tooLarge'],
]

/**
 * Runs nft and returns what it printed. Throws `missing` when there is no such program, and otherwise with the
 * program's message. `signal` kills it.
 */
export const runNft = async (
  program: NftProgram,
  args: readonly string[],
  input: string,
  signal: AbortSignal,
): Promise<string> => {
  signal.throwIfAborted()
  const op = ['nft', ...args].join(' ')
  return await new Promise<string>((resolve, reject) => {
    const child = spawn(program.path, args, { stdio: ['pipe', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
    const { pid } = child
    if (pid !== undefined) program.onStart?.(pid)
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (output.length < outputLimit) output += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      if (errors.length < outputLimit) errors += chunk
    })
    // nft may end before it has read everything; its message says why.
    child.stdin.on('error', () => {})
    child.on('error', (cause) => {
      if (signal.aborted) reject(signal.reason)
      else if ('code' in cause && cause.code === 'ENOENT')
        reject(new KernelError({ code: 'missing', op, detail: `${program.path} is not installed`, cause }))
      else reject(KernelError.ofSystem(op, cause))
    })
    child.on('close', (status, killed) => {
      if (pid !== undefined) program.onEnd?.(pid)
      if (signal.aborted) reject(signal.reason)
      else if (status === 0) resolve(output)
      else reject(failure(op, errors.slice(0, outputLimit).trim() || `ended with ${killed ?? status}`))
    })
    child.stdin.end(input)
  })
}

const failure = (op: string, detail: string): KernelError => {
  const code = reasons.find(([text]) => detail.includes(text))?.[1]
  return new KernelError({ code: code ?? 'invalid', op, detail })
}

const versionText = /\bv(\d+(?:\.\d+)*)/

export const nftVersion = async (program: NftProgram, signal: AbortSignal): Promise<string> => {
  const output = await runNft(program, ['--version'], '', signal)
  const version = versionText.exec(output)?.[1]
  if (version === undefined) throw new KernelError({ code: 'io', op: 'nft --version', detail: output.trim() })
  return version
}
