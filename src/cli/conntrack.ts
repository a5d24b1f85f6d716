import type { Config, ConntrackConfig } from '../config/config.ts'
import type { Settings } from '../config/shape.ts'
import { conntrackHashsize } from '../kernel/sysctl/module-parameters.ts'
import { ensureAtLeast, ensureInteger, readInteger } from '../kernel/sysctl/sysctl.ts'
import { SysctlError } from '../kernel/sysctl/sysctl-error.ts'
import { type ConntrackKernel, parameter } from './conntrack-kernel.ts'
import { describe, FatalError } from './fatal.ts'

export interface ConntrackReport {
  /** What holds now, in words: `nf_conntrack_max is 131072`. */
  readonly done: readonly string[]
  /** What was asked for and refused. */
  readonly remarks: readonly string[]
}

/** kube-proxy never asks for more, however many processors there are. */
const greatestLimit = 2 ** 20

/**
 * Sets the limits and timeouts that the configuration asks for, as kube-proxy does in every mode; 0 leaves one alone, and
 * what is right already is not written. Mode userspace works without privileges, so there a refusal is only a remark.
 *
 * @throws FatalError with what cannot be set, and what to do about it
 */
export const applyConntrack = async (
  { conntrack, mode }: Pick<Config, 'conntrack' | 'mode'>,
  kernel: ConntrackKernel,
  signal: AbortSignal,
): Promise<ConntrackReport> => {
  const steps = stepsOf(conntrack, kernel)
  if (steps.length > 0 && (await isMissing(kernel, signal))) await kernel.load(signal)
  const done: string[] = []
  const remarks: string[] = []
  for (const { field, off, take } of steps)
    try {
      done.push(await take(signal))
    } catch (error) {
      signal.throwIfAborted()
      const problem = `cannot do what conntrack.${field} asks for: ${describe(error)}`
      if (mode === 'userspace' && error instanceof SysctlError) remarks.push(problem)
      else throw new FatalError(`${problem}; ${waysOut(error, field, off)}`, error)
    }
  return { done, remarks }
}

interface Step {
  readonly field: keyof Settings['conntrack']
  /** The value of the field that leaves the kernel alone. */
  readonly off: string
  /** Returns what holds then. */
  take(signal: AbortSignal): Promise<string>
}

const stepsOf = (conntrack: ConntrackConfig, kernel: ConntrackKernel): readonly Step[] => {
  const set = (field: Step['field'], off: string, name: string, value: number): Step => ({
    field,
    off,
    take: async (signal) => {
      await ensureInteger(kernel.sysctl, parameter(name), value, signal)
      return off === 'false' ? `${name} is on` : `${name} is ${value} s`
    },
  })
  const timeout = (field: Step['field'], ms: number, name: string): readonly Step[] =>
    ms > 0 ? [set(field, '0s', name, wholeSeconds(ms))] : []
  const limit: Step = { field: 'maxPerCore', off: '0', take: (signal) => setLimit(conntrack, kernel, signal) }
  return [
    ...(conntrack.maxPerCore > 0 ? [limit] : []),
    ...timeout('tcpEstablishedTimeout', conntrack.tcpEstablishedTimeoutMs, 'tcp_timeout_established'),
    ...timeout('tcpCloseWaitTimeout', conntrack.tcpCloseWaitTimeoutMs, 'tcp_timeout_close_wait'),
    ...(conntrack.tcpBeLiberal ? [set('tcpBeLiberal', 'false', 'tcp_be_liberal', 1)] : []),
    ...timeout('udpTimeout', conntrack.udpTimeoutMs, 'udp_timeout'),
    ...timeout('udpStreamTimeout', conntrack.udpStreamTimeoutMs, 'udp_timeout_stream'),
  ]
}

/** Of a timeout, for a kernel that knows no parts of a second; 0 says that it is left alone, and so is for nothing else. */
export const wholeSeconds = (ms: number): number => (ms > 0 ? Math.max(1, Math.floor(ms / 1000)) : 0)

const setLimit = async (
  { maxPerCore, min }: ConntrackConfig,
  kernel: ConntrackKernel,
  signal: AbortSignal,
): Promise<string> => {
  const { sysctl, modules } = kernel
  const wanted = limitFor(maxPerCore, min, await kernel.processors(signal))
  const present = await readInteger(sysctl, parameter('max'), signal)
  if (!(await kernel.ownsLimit(signal))) {
    const why = 'because it belongs to the whole host and cannot be set in this network namespace'
    return `nf_conntrack_max stays at ${present}${present < wanted ? ` instead of ${wanted}, ${why}` : ''}`
  }
  await ensureInteger(sysctl, parameter('max'), wanted, signal)
  await ensureAtLeast(modules, conntrackHashsize, Math.floor(wanted / 4), signal)
  return `nf_conntrack_max is ${wanted}`
}

/** A product over the greatest limit becomes that limit, whatever the least one is (kube-proxy since v1.36). */
export const limitFor = (maxPerCore: number, min: number, processors: number): number => {
  const scaled = maxPerCore * processors
  return scaled > greatestLimit ? greatestLimit : Math.max(scaled, min)
}

const waysOut = (error: unknown, field: string, off: string): string => {
  const leave = `conntrack.${field}: ${off} leaves it alone`
  return error instanceof SysctlError && error.code === 'denied'
    ? `--init-only in a privileged init container sets it beforehand, ${leave}`
    : leave
}

const isMissing = async ({ sysctl }: ConntrackKernel, signal: AbortSignal): Promise<boolean> => {
  try {
    await sysctl.read(parameter('max'), signal)
    return false
  } catch (error) {
    signal.throwIfAborted()
    return error instanceof SysctlError && error.code === 'missing'
  }
}
