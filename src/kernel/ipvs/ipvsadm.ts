import { readFile } from 'node:fs/promises'
import type { Protocol } from '../../model/protocol.ts'
import { ExecError } from '../exec/exec-error.ts'
import { type Run, run as realRun } from '../exec/run.ts'
import { IpvsError } from './ipvs-error.ts'
import { parseProcIpVs } from './proc-ip-vs.ts'
import { hostPort, type VirtualServer, type VirtualServers } from './virtual-server.ts'

const serviceOption = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service' } as const satisfies Record<Protocol, string>

const gone = /No such service/

/** {@link VirtualServers} through /proc/net/ip_vs and the `ipvsadm` program. */
export class Ipvsadm implements VirtualServers {
  readonly #run: Run
  readonly #table: string

  constructor({ run = realRun, table = '/proc/net/ip_vs' }: { readonly run?: Run; readonly table?: string } = {}) {
    this.#run = run
    this.#table = table
  }

  async list(signal: AbortSignal): Promise<readonly VirtualServer[] | undefined> {
    try {
      return parseProcIpVs(await readFile(this.#table, { encoding: 'utf8', signal }))
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
      throw new IpvsError('io', `read ${this.#table}`, String(cause), cause)
    }
  }

  async remove(servers: readonly VirtualServer[], signal: AbortSignal): Promise<void> {
    for (const server of servers) await this.#remove(server, signal)
  }

  async #remove({ protocol, ip, port }: VirtualServer, signal: AbortSignal): Promise<void> {
    const command = ['ipvsadm', '-D', serviceOption[protocol], hostPort(ip, port)]
    const op = command.join(' ')
    try {
      const { status, stderr } = await this.#run(command, { signal })
      if (status !== 0 && !gone.test(stderr)) throw new IpvsError('rejected', op, stderr.trim())
    } catch (cause) {
      if (!(cause instanceof ExecError) || cause.code === 'aborted') throw cause
      throw new IpvsError(cause.code === 'missing' ? 'missing' : 'io', op, cause.message, cause)
    }
  }
}
