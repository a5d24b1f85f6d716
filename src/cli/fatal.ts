import { ConfigError } from '../config/config-error.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import { ObserveError } from '../observe/error.ts'
import { SimulateError } from '../simulate/index.ts'

/** Ends the process with one line and status 1. `message` says what is missing or wrong, and with what. */
export class FatalError extends Error {
  override readonly name = 'FatalError'

  constructor(message: string, cause?: unknown) {
    super(message, { cause })
  }
}

/** For the user: one line, never a stack. Only a wrong command line, configuration or scenario has a line for each problem. */
export const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return firstLine(String(error))
  if (error instanceof ConfigError || error instanceof SimulateError) return error.message
  if (!(error instanceof ObserveError)) return firstLine(error.message)
  const reasons = {
    portInUse: 'the address is in use',
    addressNotAvailable: 'no interface has the address',
    permission: 'permission denied',
    io: error.message,
  } as const satisfies Record<typeof error.code, string>
  return `cannot ${error.op}: ${reasons[error.code]}`
}

/** Programs say what is wrong first, and then quote what they were given. */
const firstLine = (text: string): string => text.split('\n').find((line) => line.trim() !== '') ?? 'unknown error'

export const noPermission = 'no permission to change nftables: CAP_NET_ADMIN is needed'

/** What keeps us from talking to nf_tables at all, in words that say what to do about it. */
export const nftUnusable = (error: unknown): FatalError => {
  if (error instanceof KernelError && error.code === 'permission') return new FatalError(noPermission, error)
  if (error instanceof KernelError && error.code === 'unsupported')
    return new FatalError(`this kernel has no nf_tables: ${describe(error)}`, error)
  return new FatalError(`nftables cannot be used: ${describe(error)}`, error)
}
