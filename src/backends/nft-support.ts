import { KernelError } from '../kernel/netlink/error.ts'
import type { Support } from './backend.ts'

/** What an nft script that was only to be tried has come to. `lack`: what a refusal means, in words. */
export const unsupportedBy = (error: unknown, lack: string): Support => {
  if (!(error instanceof KernelError)) return { kind: 'unknown', cause: error }
  switch (error.code) {
    case 'missing':
      return { kind: 'unsupported', why: 'the program `nft` is not installed (Debian package nftables)' }
    case 'permission':
      return { kind: 'unsupported', why: 'no permission to change nftables: CAP_NET_ADMIN is needed' }
    case 'unsupported':
    case 'notFound':
    case 'invalid':
      return { kind: 'unsupported', why: `${lack}: ${error.message}` }
    default:
      return { kind: 'unknown', cause: error }
  }
}
