import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_HDRLEN, NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS } from './constants.ts'
import { KernelError } from './error.ts'
import { align4, type MessageReader, Reader } from './wire.ts'

/** An NLMSG_ERROR: errno 0 is an acknowledgement. `offset` counts from the header of the request. */
export interface Acknowledgement {
  readonly errno: number
  readonly detail: string | undefined
  readonly offset: number | undefined
}

/** Reads the NLMSG_ERROR that `messages` stands on. */
export const readAcknowledgement = (messages: MessageReader): Acknowledgement => {
  const errno = 0 - messages.s32host(0)
  let detail: string | undefined
  let offset: number | undefined
  if ((messages.flags & NLM_F_ACK_TLVS) !== 0) {
    const echoed = errno === 0 || (messages.flags & NLM_F_CAPPED) !== 0 ? NLMSG_HDRLEN : align4(messages.u32host(4))
    const attributes = new Reader(messages.bytes, Math.min(messages.start + 4 + echoed, messages.end), messages.end)
    while (attributes.next()) {
      if (attributes.type === NLMSGERR_ATTR_MSG) detail = attributes.string()
      else if (attributes.type === NLMSGERR_ATTR_OFFS) offset = attributes.u32host()
    }
  }
  return { errno, detail, offset }
}

/** Why the request was refused, from the NLMSG_ERROR that `messages` stands on; undefined when it was carried out. */
export const readRefusal = (messages: MessageReader, op: string): KernelError | undefined => {
  const { errno, detail, offset } = readAcknowledgement(messages)
  return errno === 0 ? undefined : KernelError.ofErrno(op, errno, { detail, offset })
}
