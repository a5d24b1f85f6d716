import type { NftClient } from '../../../kernel/nft/client.ts'
import type { WriteGuard } from '../../../kernel/nft/write-guard.ts'
import { type Family, readIP } from '../../../model/ip.ts'
import { protocolNumber, protocolWord } from '../../../model/protocol.ts'
import { elementId } from './elements.ts'
import { type SetName, schemaOf, setNames, tableFamily, userspaceTable } from './schema.ts'

/** What of an earlier table is worth knowing: which port each address led to, by {@link elementId}. */
export interface ObservedTable {
  readonly ports: ReadonlyMap<string, number>
  readonly counts: ReadonlyMap<string, number>
}

/** The table of one family in the kernel. Every method throws KernelError. */
export class RedirectTable {
  readonly family: Family
  readonly #client: NftClient
  readonly #guard: WriteGuard

  constructor(family: Family, client: NftClient, guard: WriteGuard) {
    this.family = family
    this.#client = client
    this.#guard = guard
  }

  async observe(signal: AbortSignal): Promise<ObservedTable> {
    this.#guard.compared(this.#watched, signal)
    const ports = new Map<string, number>()
    const counts = new Map<string, number>()
    const tables = await this.#client.tables(signal)
    if (!tables.some(({ family, name }) => family === this.#ref.family && name === this.#ref.name))
      return { ports, counts }
    const sets = await this.#client.sets(this.#ref, signal)
    for (const { name, keyLength } of sets) {
      const set = setNames.find((known) => known === name)
      if (set === undefined || schemaOf(set).value !== 'socket' || keyLength !== keyBytes(set, this.family)) continue
      let count = 0
      await this.#client.dumpElements(
        this.#ref,
        set,
        (key, _end, data) => {
          count++
          if (data instanceof Uint8Array)
            ports.set(elementId({ set, key: keyText(set, this.family, key) }), portIn(data))
        },
        signal,
        {
          restart: () => {
            count = 0
          },
        },
      )
      counts.set(set, count)
    }
    return { ports, counts }
  }

  async run(script: string, signal: AbortSignal): Promise<void> {
    await this.#guard.write(script.length, () => this.#client.runText(script, signal), signal)
  }

  untouched(signal: AbortSignal): boolean {
    return this.#guard.untouched(this.#watched, signal)
  }

  remove(signal: AbortSignal): Promise<void> {
    return this.#client.deleteTable(this.#ref.family, this.#ref.name, signal)
  }

  /** What the guard, which both families share, calls this table. */
  get #watched(): string {
    return `${this.#ref.family} ${this.#ref.name}`
  }

  get #ref() {
    return { family: tableFamily(this.family), name: userspaceTable } as const
  }
}

/** Every part of a key is padded to four bytes; only the source of allowed-sources has more fields, and no socket. */
const keyBytes = (set: SetName, family: Family): number => {
  const address = family === 'IPv4' ? 4 : 16
  return schemaOf(set).key.length === 3 ? address + 8 : 8
}

const keyText = (set: SetName, family: Family, key: Uint8Array): string => {
  const addressed = schemaOf(set).key.length === 3
  const at = addressed ? key.length - 8 : 0
  const protocol = (['TCP', 'UDP', 'SCTP'] as const).find((name) => protocolNumber[name] === key[at])
  const rest = `${protocol === undefined ? key[at] : protocolWord[protocol]} . ${bigEndian(key, at + 4)}`
  return addressed ? `${readIP(family, key, 0)} . ${rest}` : rest
}

/** After the address; padded to four bytes. */
const portIn = (data: Uint8Array): number => bigEndian(data, data.length - 4)

const bigEndian = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
