import {
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_HDRLEN,
  NLMSGERR_ATTR_MISS_TYPE,
  NLMSGERR_ATTR_MSG,
  NLMSGERR_ATTR_OFFS,
} from './constants.ts'
import { KernelError } from './error.ts'
import { align4, type MessageReader, Reader } from './wire.ts'

const ERRNO_LEN = 4

/** An NLMSG_ERROR: errno 0 is an acknowledgement. `offset` counts from the header of the request. */
export interface Acknowledgement {
  readonly errno: number
  readonly detail: string | undefined
  readonly offset: number | undefined
}

/** Reads the NLMSG_ERROR that `messages` stands on. */
export const readAcknowledgement = (messages: MessageReader): Acknowledgement => {
  const errno = 0 - messages.s32host(0)
  if ((messages.flags & NLM_F_ACK_TLVS) === 0) return { errno, detail: undefined, offset: undefined }
  const whole = errno !== 0 && (messages.flags & NLM_F_CAPPED) === 0
  // The length that the echoed request gives itself may be a lie, as every length.
  const echoed = whole ? Math.min(Math.max(messages.u32host(4), NLMSG_HDRLEN), messages.end) : NLMSG_HDRLEN
  return { errno, ...readReason(messages, ERRNO_LEN + align4(echoed)) }
}

/** Reads the NLMSG_DONE that `messages` stands on: a dump may fail after its first part. */
export const readDone = (messages: MessageReader): Acknowledgement => {
  const errno = 0 - messages.s32host(0)
  if ((messages.flags & NLM_F_ACK_TLVS) === 0) return { errno, detail: undefined, offset: undefined }
  return { errno, ...readReason(messages, ERRNO_LEN) }
}

/** The extended ACK, `offset` bytes into the payload. */
const readReason = (messages: MessageReader, offset: number): Omit<Acknowledgement, 'errno'> => {
  const reason: { detail: string | undefined; offset: number | undefined } = { detail: undefined, offset: undefined }
  const attributes = new Reader(messages.bytes, Math.min(messages.start + offset, messages.end), messages.end)
  while (attributes.next())
    if (attributes.type === NLMSGERR_ATTR_MSG) reason.detail = attributes.string()
    else if (attributes.type === NLMSGERR_ATTR_OFFS) reason.offset = attributes.u32host()
    else if (attributes.type === NLMSGERR_ATTR_MISS_TYPE)
      reason.detail ??= `attribute ${attributes.u32host()} is missing`
  return reason
}

/**
 * Why the request was refused, from the NLMSG_ERROR or NLMSG_DONE that `messages` stands on; undefined when it was carried
 * out.
 */
export const readRefusal = (messages: MessageReader, op: string): KernelError | undefined => {
  const { errno, detail, offset } = messages.type === NLMSG_DONE ? readDone(messages) : readAcknowledgement(messages)
  return errno === 0 ? undefined : KernelError.ofErrno(op, errno, { detail, offset })
}

/** The kernel's word that messages were lost; it says so by ENOBUFS nowadays. */
export const overrun = (op: string): KernelError =>
  new KernelError({ code: 'overflow', op, detail: 'the kernel reports an overrun' })
