import type { HostState } from '../../../model/host.ts'
import type { ServicePortId } from '../../../model/names.ts'
import { protocolWord } from '../../../model/protocol.ts'
import type { ServiceLayout } from '../service-layout.ts'
import { hostElements } from './elements.ts'
import type { RedirectTable } from './redirect-table.ts'
import type { SetName } from './schema.ts'
import { changeScript, tableScript } from './script.ts'
import { type SocketOf, type WrittenElement, WrittenTable, written } from './written.ts'

/** Writes the table of one family, and remembers what is in it. */
export class RedirectWriter {
  readonly #table: RedirectTable
  #written = new WrittenTable()

  constructor(table: RedirectTable) {
    this.#table = table
  }

  /**
   * Whether any element is for UDP.
   *
   * @throws KernelError; then nothing has changed
   */
  async replace(
    host: HostState,
    layouts: ReadonlyMap<ServicePortId, ServiceLayout | undefined>,
    socketOf: SocketOf,
    signal: AbortSignal,
  ): Promise<boolean> {
    const next = new WrittenTable()
    next.accept(elementsByService(layouts, socketOf))
    const elements = [...next.elements()]
    await this.#table.run(tableScript(host, [...hostPart(host), ...elements]), signal)
    this.#written = next
    return elements.some(isForUdp)
  }

  /**
   * Whether anything of UDP leads elsewhere than before, or somewhere at all.
   *
   * @throws KernelError; then nothing has changed
   */
  async change(
    layouts: ReadonlyMap<ServicePortId, ServiceLayout | undefined>,
    socketOf: SocketOf,
    signal: AbortSignal,
  ): Promise<boolean> {
    const elements = elementsByService(layouts, socketOf)
    const change = this.#written.change(elements)
    const script = changeScript(this.#table.family, change)
    if (script !== '') await this.#table.run(script, signal)
    this.#written.accept(elements)
    return change.added.some(isForUdp) || change.removed.some((element) => isForUdp(element) && this.#uncovers(element))
  }

  counts(): ReadonlyMap<string, number> {
    return this.#written.counts()
  }

  /** Whether clients outside get, without this element, to where those inside do. */
  #uncovers({ set, key }: WrittenElement): boolean {
    const inside = insideOf[set]
    return inside !== undefined && this.#written.has({ set: inside, key })
  }
}

const insideOf: Partial<Record<SetName, SetName>> = {
  'outside-services': 'services',
  'outside-nodeports': 'nodeports',
}

const isForUdp = ({ key }: WrittenElement): boolean => key.includes(protocolWord.UDP)

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
