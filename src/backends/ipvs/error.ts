import type { KernelError } from '../../kernel/netlink/error.ts'
import type { ServiceKey } from '../../model/names.ts'

/**
 * - `rejected`: the kernel refused something; the rest is written.
 * - `stale`: the kernel was not as expected, because somebody else wrote to it: a look has to come first.
 * - `device`: kube-ipvs0 cannot be had.
 */
export type IpvsBackendErrorCode = 'rejected' | 'stale' | 'device'

export interface IpvsBackendErrorFields {
  readonly code: IpvsBackendErrorCode
  /** What was tried, without names: `change virtual servers`. */
  readonly op: string
  /** What exactly, and what the kernel said of it. */
  readonly reason: string
  /** Who it was for; undefined when it was nobody's. */
  readonly tag?: ServiceKey | undefined
  readonly cause?: unknown
}

/** The one error of this folder, besides those of the kernel that are nobody's fault. */
export class IpvsBackendError extends Error {
  override readonly name = 'IpvsBackendError'
  readonly code: IpvsBackendErrorCode
  readonly op: string
  readonly tag: ServiceKey | undefined

  constructor({ code, op, reason, tag, cause }: IpvsBackendErrorFields) {
    super(`${op}: ${reason}`, cause === undefined ? undefined : { cause })
    this.code = code
    this.op = op
    this.tag = tag
  }
}

/** One thing that the kernel did not take. */
export interface Rejection {
  readonly tag: ServiceKey | undefined
  readonly op: string
  readonly error: KernelError
}

/** KernelError's message says what was refused, and the extended ACK. */
export const rejected = ({ tag, op, error }: Rejection): IpvsBackendError =>
  new IpvsBackendError({ code: 'rejected', op, reason: error.message, tag, cause: error })
