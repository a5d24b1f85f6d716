import { KernelError } from '../netlink/error.ts'

/** The kernel has no family IPVS, and found no module that would make one. */
export const noIpvs = (op: string, cause?: unknown): KernelError =>
  new KernelError({ code: 'unsupported', op, detail: 'the kernel has no IPVS: module ip_vs cannot be loaded', cause })
