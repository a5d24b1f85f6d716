import { errnoName } from '../netlink/error.ts'

/** A system call on a socket failed. `code` is the errno's name: `EADDRINUSE`, `EACCES` … */
export class SocketError extends Error {
  override readonly name = 'SocketError'
  readonly code: string
  /** The call: `bind`, `listen` … */
  readonly op: string

  constructor(op: string, errno: number) {
    const code = errnoName(errno)
    super(`${op}: ${code}`)
    this.code = code
    this.op = op
  }
}
