import type { HostState } from '../../../model/host.ts'
import type { ServicePortId } from '../../../model/names.ts'
import { protocolWord } from '../../../model/protocol.ts'
import type { ServiceLayout } from '../service-layout.ts'
import { hostElements } from './elements.ts'
import type { RedirectTable } from './redirect-table.ts'
import { changeScript, tableScript } from './script.ts'
import { type SocketOf, type WrittenElement, WrittenTable, written } from './written.ts'

/** Writes the table of one family, and remembers what is in it. */
export class RedirectWriter {
  readonly #table: RedirectTable
  #written = new WrittenTable()

  constructor(table: RedirectTable) {
    this.#table = table
  }

  /** @throws KernelError; then nothing has changed */
  async replace(
    host: HostState,
    layouts: ReadonlyMap<ServicePortId, ServiceLayout | undefined>,
    socketOf: SocketOf,
    signal: AbortSignal,
  ): Promise<void> {
    const next = new WrittenTable()
    next.accept(elementsByService(layouts, socketOf))
    await this.#table.run(tableScript(host, [...hostPart(host), ...next.elements()]), signal)
    this.#written = next
  }

  /** @throws KernelError; then nothing has changed */
  async change(
    layouts: ReadonlyMap<ServicePortId, ServiceLayout | undefined>,
    socketOf: SocketOf,
    signal: AbortSignal,
  ): Promise<void> {
    const elements = elementsByService(layouts, socketOf)
    const change = this.#written.change(elements)
    const script = changeScript(this.#table.family, change)
    if (script !== '') await this.#table.run(script, signal)
    this.#written.accept(elements)
  }

  counts(): ReadonlyMap<string, number> {
    return this.#written.counts()
  }
}

export const hostPart = (host: HostState): readonly WrittenElement[] =>
  hostElements(host).map((element) => written(element, () => undefined))

export const elementsByService = (
  layouts: ReadonlyMap<ServicePortId, ServiceLayout | undefined>,
  socketOf: SocketOf,
): ReadonlyMap<ServicePortId, readonly WrittenElement[]> =>
  new Map([...layouts].map(([id, layout]) => [id, layout === undefined ? [] : elementsOf(layout, socketOf)]))

const elementsOf = ({ elements, listeners }: ServiceLayout, socketOf: SocketOf): readonly WrittenElement[] => [
  ...elements.map((element) => written(element, socketOf)),
  ...listeners.flatMap(({ spec }): readonly WrittenElement[] => {
    const socket = socketOf(spec.id)
    if (socket === undefined) return []
    const [address = '', port = ''] = socket.split(' . ')
    return [{ set: 'listeners', key: `${address} . ${protocolWord[spec.protocol]} . ${port}`, value: undefined }]
  }),
]
