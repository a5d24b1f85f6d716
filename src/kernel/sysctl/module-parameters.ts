import { ProcSysctl } from './proc-sysctl.ts'
import type { Sysctl } from './sysctl.ts'

/**
 * The parameters of kernel modules, loaded or built in, e.g. `nf_conntrack/parameters/hashsize`: files of one value each, as
 * sysctls are. They belong to the whole machine.
 */
export const moduleParameters = (root = '/sys/module'): Sysctl => new ProcSysctl(root)

/**
 * Buckets of the table of connections, of all network namespaces together. Only the first one may write it (EOPNOTSUPP
 * elsewhere, nf_conntrack_set_hashsize of net/netfilter/nf_conntrack_core.c).
 */
export const conntrackHashsize = 'nf_conntrack/parameters/hashsize'
