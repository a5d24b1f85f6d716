import { ExecError } from '../exec/exec-error.ts'
import { type Run, type RunResult, run as realRun } from '../exec/run.ts'
import type { Ipset, SetHeader } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'
import { parseSetHeaders } from './list-parser.ts'

/** What `ipset` says when nfnetlink or its ipset subsystem is not in the kernel. */
const noSupport = /Cannot open session to kernel|Kernel support protocol version|Invalid argument/
const gone = /The set with the given name does not exist/
const busy = /it is in use by a kernel component/

/** {@link Ipset} through the `ipset` program. */
export class IpsetClient implements Ipset {
  readonly #run: Run

  constructor({ run = realRun }: { readonly run?: Run } = {}) {
    this.#run = run
  }

  async list(signal: AbortSignal): Promise<readonly SetHeader[]> {
    const command = ['ipset', 'list', '-terse']
    const { status, stdout, stderr } = await this.#call(command, signal)
    const op = command.join(' ')
    if (status !== 0) {
      if (noSupport.test(stderr)) return []
      throw new IpsetError('rejected', op, stderr.trim())
    }
    const headers = parseSetHeaders(stdout)
    if (headers === undefined) throw new IpsetError('output', op, 'unexpected output')
    return headers
  }

  async destroy(name: string, signal: AbortSignal): Promise<void> {
    const command = ['ipset', 'destroy', name]
    const { status, stderr } = await this.#call(command, signal)
    if (status === 0 || gone.test(stderr)) return
    throw new IpsetError(busy.test(stderr) ? 'busy' : 'rejected', command.join(' '), stderr.trim())
  }

  async #call(command: readonly string[], signal: AbortSignal): Promise<RunResult> {
    try {
      return await this.#run(command, { signal })
    } catch (cause) {
      if (!(cause instanceof ExecError) || cause.code === 'aborted') throw cause
      throw new IpsetError(cause.code === 'missing' ? 'missing' : 'io', command.join(' '), cause.message, cause)
    }
  }
}
