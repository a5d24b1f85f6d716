import type { Ipset, SetHeader } from './ipset.ts'
import { IpsetError } from './ipset-error.ts'

/** {@link Ipset} in memory. */
export class FakeIpset implements Ipset {
  readonly #sets: Map<string, SetHeader>

  constructor(sets: Iterable<SetHeader> = []) {
    this.#sets = new Map([...sets].map((set) => [set.name, set]))
  }

  async list(): Promise<readonly SetHeader[]> {
    return [...this.#sets.values()]
  }

  async destroy(name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if ((this.#sets.get(name)?.references ?? 0) > 0) throw new IpsetError('busy', `ipset destroy ${name}`, 'in use')
    this.#sets.delete(name)
  }
}
