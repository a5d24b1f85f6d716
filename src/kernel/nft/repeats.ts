import { KernelError } from '../netlink/error.ts'
import type { OnElement } from './element.ts'

/**
 * Notices that a dump cannot be trusted. The kernel resumes a dump by counting elements from the start of its hash
 * table; when it moves elements to a larger table meanwhile (for some tenths of a second after many were added), it
 * returns some twice and, for each of them, leaves another out. Nothing in the messages says so.
 */
export class RepeatCheck {
  readonly #op: string
  readonly #seen = new Set<string>()

  constructor(op: string) {
    this.#op = op
  }

  /** The dump starts over. */
  reset(): void {
    this.#seen.clear()
  }

  /** `onElement`, throwing `interrupted` at the first element that comes twice. */
  around(onElement: OnElement): OnElement {
    return (key, keyEnd, data, comment, flags, timeoutMs) => {
      const id = latin1(key) + (keyEnd === undefined ? '' : latin1(keyEnd)) + String.fromCharCode(flags)
      const before = this.#seen.size
      if (this.#seen.add(id).size === before)
        throw new KernelError({ code: 'interrupted', op: this.#op, detail: 'an element came twice' })
      onElement(key, keyEnd, data, comment, flags, timeoutMs)
    }
  }
}

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
