import { readFileSync } from 'node:fs'

const field = (text: string, name: string): number =>
  Number.parseInt(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(text)?.[1] ?? '0', 10)

/** The most memory that a process has had resident so far, in MiB (VmHWM of proc_pid_status(5)). */
export const peakMiB = (pid: number | 'self' = 'self'): number =>
  field(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM') / 1024

/** What a process has resident now, in MiB (VmRSS). */
export const residentMiB = (pid: number | 'self' = 'self'): number =>
  field(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmRSS') / 1024

/**
 * What the kernel holds for itself on the whole machine, in MiB (proc_meminfo(5)): the difference around a load is
 * about what was loaded, give or take what else happened meanwhile.
 */
export const kernelMiB = (): number => {
  const text = readFileSync('/proc/meminfo', 'utf8')
  return (field(text, 'SUnreclaim') + field(text, 'VmallocUsed') + field(text, 'Percpu')) / 1024
}
