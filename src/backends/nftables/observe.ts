import type { NftClient } from '../../kernel/nft/client.ts'
import type { SetInfo } from '../../kernel/nft/objects.ts'
import type { Family } from '../../model/ip.ts'
import type { Observed } from '../backend.ts'
import { keyWidth, readElement, valueWidth } from './codec.ts'
import { elementContent, keyText } from './element.ts'
import { isInterval, nftFamily, type SetName, schemaOf, setNames, tableName, writtenSets } from './schema.ts'

/** What a family's table was found to be. */
export type ObservedTable = Observed &
  (
    | { readonly kind: 'absent' }
    /** A table of our name whose sets are not ours: another version's. It is replaced as a whole. */
    | { readonly kind: 'incompatible'; readonly why: string }
    | {
        readonly kind: 'table'
        /** By set: the text of each element's key, and {@link elementContent}. Text, because there may be very many. */
        readonly elements: ReadonlyMap<SetName, Map<string, string>>
        /** Sets with an element that we can never have written, and cannot name. */
        readonly garbled: ReadonlySet<SetName>
        /** Sets of ours that are not there. */
        readonly missing: readonly SetName[]
        /** Sets that are not ours: an older version's, or somebody else's. */
        readonly strangers: readonly SetInfo[]
        /** Number of rules by chain. */
        readonly chains: ReadonlyMap<string, number>
      }
  )

/** NFT_SET_* of linux/netfilter/nf_tables.h. */
const setFlag = { anonymous: 0x1, interval: 0x4, map: 0x8, timeout: 0x10, dynamic: 0x20 } as const
const compared = setFlag.interval | setFlag.map | setFlag.timeout | setFlag.dynamic

const expectedFlags = (set: SetName): number => {
  const { value, dynamic } = schemaOf(set)
  const map = value === 'none' ? 0 : setFlag.map
  const filled = dynamic === true ? setFlag.dynamic | setFlag.timeout : 0
  return map | filled | (isInterval(set) ? setFlag.interval : 0)
}

const dataBytes = ({ data }: SetInfo): number | 'verdict' => {
  if (data.kind === 'verdict') return 'verdict'
  return data.kind === 'value' ? data.length : 0
}

/** Reads our table. Nothing there is not an error: it is what a first start finds. */
export const observeTable = async (client: NftClient, family: Family, signal: AbortSignal): Promise<ObservedTable> => {
  const counts = new Map<string, number>()
  const absent = { kind: 'absent', counts } as const
  const tables = await client.tables(signal)
  if (!tables.some((table) => table.family === nftFamily(family) && table.name === tableName)) return absent
  const table = { family: nftFamily(family), name: tableName } as const

  const sets = new Map((await client.sets(table, signal)).map((set) => [set.name, set]))
  for (const name of setNames) {
    const set = sets.get(name)
    // A missing set is no conflict: the structure script declares it.
    if (set === undefined) continue
    const fits =
      set.keyLength === keyWidth(name, family) &&
      (set.flags & compared) === expectedFlags(name) &&
      dataBytes(set) === (schemaOf(name).value === 'verdict' ? 'verdict' : valueWidth(name, family))
    if (!fits) return { kind: 'incompatible', counts, why: `set ${name} has another type` }
  }

  const chains = new Map<string, number>()
  for (const { name } of await client.chains(table, signal)) chains.set(name, 0)
  for (const { chain } of await client.rules(table, signal)) chains.set(chain, (chains.get(chain) ?? 0) + 1)

  const elements = new Map<SetName, Map<string, string>>()
  const garbled = new Set<SetName>()
  for (const set of writtenSets) {
    if (!sets.has(set)) continue
    const found = new Map<string, string>()
    await client.dumpElements(
      table,
      set,
      (key, keyEnd, data, comment, flags) => {
        const element = readElement(set, family, { key, keyEnd, data, comment, intervalEnd: (flags & 1) === 1 })
        if (element === undefined) garbled.add(set)
        else found.set(keyText(element), elementContent(element))
      },
      signal,
      { restart: () => found.clear() },
    )
    elements.set(set, found)
    counts.set(set, found.size)
  }
  const missing = setNames.filter((name) => !sets.has(name))
  const ours: ReadonlySet<string> = new Set(setNames)
  // The sets that rules have within them come and go with the rules.
  const strangers = [...sets.values()].filter(({ name, flags }) => !ours.has(name) && (flags & setFlag.anonymous) === 0)
  return { kind: 'table', counts, elements, garbled, missing, strangers, chains }
}
