import { SysctlError } from './sysctl-error.ts'

/**
 * The kernel's parameters. Names are paths below /proc/sys, e.g. `net/ipv4/ip_forward`: with slashes, because names of
 * interfaces may have dots. Those under `net/` belong to this process's network namespace. Rejections are
 * {@link SysctlError}, or the signal's reason.
 */
export interface Sysctl {
  /** Without the line end. */
  read(name: string, signal: AbortSignal): Promise<string>
  write(name: string, value: string | number, signal: AbortSignal): Promise<void>
}

/** A parameter that is one whole number. */
export const readInteger = async (sysctl: Sysctl, name: string, signal: AbortSignal): Promise<number> => {
  const text = await sysctl.read(name, signal)
  if (!/^-?\d+$/.test(text)) throw new SysctlError('invalid', `read ${name}`, `"${text}" is no whole number`)
  return Number.parseInt(text, 10)
}

/** Raises a value that is lower; whether it did. */
export const ensureAtLeast = async (
  sysctl: Sysctl,
  name: string,
  least: number,
  signal: AbortSignal,
): Promise<boolean> => {
  if ((await readInteger(sysctl, name, signal)) >= least) return false
  await sysctl.write(name, least, signal)
  return true
}

/** Writes only a value that differs; whether it did. A read-only /proc is no obstacle when there is nothing to change. */
export const ensureInteger = async (
  sysctl: Sysctl,
  name: string,
  value: number,
  signal: AbortSignal,
): Promise<boolean> => {
  if ((await readInteger(sysctl, name, signal)) === value) return false
  await sysctl.write(name, value, signal)
  return true
}
