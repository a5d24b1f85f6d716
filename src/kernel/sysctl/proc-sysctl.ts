import { constants, open, readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import type { Sysctl } from './sysctl.ts'
import { SysctlError } from './sysctl-error.ts'

/** {@link Sysctl} through /proc/sys. */
export class ProcSysctl implements Sysctl {
  readonly #root: string

  constructor(root = '/proc/sys') {
    this.#root = root
  }

  async read(name: string, signal: AbortSignal): Promise<string> {
    const op = `read ${name}`
    const path = this.#path(name, op)
    try {
      return (await readFile(path, { encoding: 'utf8', signal })).trimEnd()
    } catch (cause) {
      signal.throwIfAborted()
      throw SysctlError.ofSystem(op, cause)
    }
  }

  async write(name: string, value: string | number, signal: AbortSignal): Promise<void> {
    const op = `write ${name} = ${value}`
    await writeProcFile(this.#path(name, op), String(value), op, signal)
  }

  #path(name: string, op: string): string {
    if (name === '' || name.startsWith('/') || normalize(name) !== name || name.startsWith('..'))
      throw new SysctlError('missing', op, 'not the name of a parameter')
    return join(this.#root, name)
  }
}

/** One write(2), as the kernel wants it. Never creates a file. */
export const writeProcFile = async (path: string, value: string, op: string, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted()
  try {
    await using file = await open(path, constants.O_WRONLY)
    await file.write(value)
  } catch (cause) {
    throw SysctlError.ofSystem(op, cause)
  }
}
