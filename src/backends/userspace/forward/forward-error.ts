/**
 * `address-in-use`, `no-permission`, `no-such-address`: why a listener has no socket (EADDRINUSE, EACCES, EADDRNOTAVAIL);
 * `no-descriptors` (EMFILE, ENFILE); `system` for any other errno. `closed`: the forwarder was closed before. `thread`: a
 * worker thread ended or could not be started.
 */
export type ForwardErrorCode =
  | 'address-in-use'
  | 'no-permission'
  | 'no-such-address'
  | 'no-descriptors'
  | 'system'
  | 'closed'
  | 'thread'

export class ForwardError extends Error {
  override readonly name = 'ForwardError'
  readonly code: ForwardErrorCode
  /** What was tried: `bind 127.0.0.1 port 80 tcp`, `apply` … */
  readonly op: string

  constructor(code: ForwardErrorCode, op: string, message: string, options?: ErrorOptions) {
    super(`${op}: ${message}`, options)
    this.code = code
    this.op = op
  }
}
