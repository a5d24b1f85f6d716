import { ObserveError } from '../observe/error.ts'

/** Ends the process with one line and status 1. `message` says what is missing or wrong, and with what. */
export class FatalError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'FatalError'
  }
}

/** The one line for the user; never a stack. */
export const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (!(error instanceof ObserveError)) return error.message
  const reasons = {
    portInUse: 'the address is in use',
    addressNotAvailable: 'no interface has the address',
    permission: 'permission denied',
    io: error.message,
  } as const satisfies Record<typeof error.code, string>
  return `cannot ${error.op}: ${reasons[error.code]}`
}
