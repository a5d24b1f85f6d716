/** `missing`: ipvsadm is not installed; `rejected`: the kernel or the program refused; `io`: it could not be run or read. */
export type IpvsErrorCode = 'missing' | 'rejected' | 'io'

export class IpvsError extends Error {
  override readonly name = 'IpvsError'
  readonly code: IpvsErrorCode
  readonly op: string

  constructor(code: IpvsErrorCode, op: string, reason: string, cause?: unknown) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
  }
}
