import type { Sysctl } from './sysctl.ts'
import { SysctlError } from './sysctl-error.ts'

/** {@link Sysctl} in memory. Only the given parameters exist. `writes` records every write. */
export class FakeSysctl implements Sysctl {
  readonly #values: Map<string, string>
  readonly writes: (readonly [name: string, value: string])[] = []

  constructor(values: Readonly<Record<string, string | number>> = {}) {
    this.#values = new Map(Object.entries(values).map(([name, value]) => [name, String(value)]))
  }

  async read(name: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted()
    const value = this.#values.get(name)
    if (value === undefined) throw new SysctlError('missing', `read ${name}`, 'ENOENT')
    return value
  }

  async write(name: string, value: string | number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!this.#values.has(name)) throw new SysctlError('missing', `write ${name} = ${value}`, 'ENOENT')
    this.#values.set(name, String(value))
    this.writes.push([name, String(value)])
  }
}
