import { execFileSync } from 'node:child_process'
import { type NftFamily, tableName } from '../../src/backends/nftables/schema.ts'
import type { NftClient } from '../../src/kernel/nft/client.ts'
import type { RuleInfo } from '../../src/kernel/nft/objects.ts'
import { never } from './sync-rig.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')

/** A table without what depends on when it was written: handles, and the order in which things are listed. */
export interface TableDump {
  readonly comment: string | undefined
  readonly chains: readonly string[]
  readonly sets: readonly string[]
  /** By chain, in order. */
  readonly rules: Readonly<Record<string, readonly string[]>>
  /** By set, sorted. */
  readonly elements: Readonly<Record<string, readonly string[]>>
}

/** What a rule is compared by: its bytes, if both sides come from the same kernel. */
export const ruleBytes = ({ comment, expressions }: RuleInfo): string => `${hex(expressions)} ${comment ?? ''}`

/** Everything in our table; undefined = there is none. */
export const dumpTable = async (
  client: NftClient,
  family: NftFamily,
  ruleText: (rule: RuleInfo) => string = ruleBytes,
): Promise<TableDump | undefined> => {
  const table = { family, name: tableName } as const
  const info = (await client.tables(never)).find((each) => each.family === family && each.name === tableName)
  if (info === undefined) return undefined
  const chains = await client.chains(table, never)
  const rules: Record<string, string[]> = Object.fromEntries(chains.map(({ name }) => [name, []]))
  for (const rule of await client.rules(table, never)) rules[rule.chain]?.push(ruleText(rule))
  const sets = await client.sets(table, never)
  const elements: Record<string, readonly string[]> = {}
  for (const { name } of sets) elements[name] = await elementsOf(client, family, name)
  return {
    comment: info.comment,
    chains: chains.map(({ name, base, comment, use }) => JSON.stringify([name, base, comment, use])).sort(),
    sets: sets
      .map(({ name, comment, flags, keyLength, data }) => JSON.stringify([name, comment, flags, keyLength, data]))
      .sort(),
    rules,
    elements,
  }
}

const elementsOf = async (client: NftClient, family: NftFamily, set: string): Promise<readonly string[]> => {
  let lines: string[] = []
  await client.dumpElements(
    { family, name: tableName },
    set,
    (key, keyEnd, data, comment, flags) => {
      const value = data instanceof Uint8Array ? hex(data) : data
      lines.push(JSON.stringify([hex(key), keyEnd === undefined ? '' : hex(keyEnd), value, comment, flags]))
    },
    never,
    {
      restart: () => {
        lines = []
      },
    },
  )
  return lines.sort()
}

/** What `nft` itself says of our table: hooks, priorities, policies and types too. */
export const listTable = (family: NftFamily): unknown => {
  const text = execFileSync('nft', ['-j', 'list', 'table', family, tableName], {
    encoding: 'utf8',
    // It warns of statements that it has no JSON for; those are compared by their bytes.
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 512 * 1024 * 1024,
  })
  const { nftables } = JSON.parse(text) as { nftables: readonly Record<string, Record<string, unknown>>[] }
  const byChain = new Map<string, unknown[]>()
  const rest: string[] = []
  for (const entry of nftables) {
    const [[kind = '', object = {}] = []] = Object.entries(entry)
    const { handle: _, ...kept } = object
    if (kind === 'metainfo') continue
    if (kind === 'rule') {
      const chain = String(kept['chain'])
      byChain.set(chain, [...(byChain.get(chain) ?? []), kept])
      continue
    }
    const elem = kept['elem']
    if (Array.isArray(elem)) kept['elem'] = elem.map((each) => JSON.stringify(each)).sort()
    rest.push(JSON.stringify([kind, kept]))
  }
  return { rest: rest.sort(), rules: Object.fromEntries(byChain) }
}
