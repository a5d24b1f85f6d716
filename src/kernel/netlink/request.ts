import { NLM_F_REQUEST } from './constants.ts'
import { Writer } from './wire.ts'

export interface Request {
  /** For errors. */
  readonly op: string
  readonly type: number
  /** Besides REQUEST, and ACK or DUMP. */
  readonly flags?: number
  /** Everything after the message header. */
  readonly body?: (writer: Writer) => void
}

/** Appends the request as one message. */
export const writeRequest = (writer: Writer, request: Request, flags: number, sequence: number): void => {
  const message = writer.message(request.type, NLM_F_REQUEST | flags | (request.flags ?? 0), sequence)
  request.body?.(writer)
  writer.endMessage(message)
}

export const encodeRequest = (request: Request, flags: number, sequence: number): Uint8Array => {
  const writer = new Writer(256)
  writeRequest(writer, request, flags, sequence)
  return writer.finish()
}
