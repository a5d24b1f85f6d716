import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RuleText, ruleTarget, ruleText, ruleWords } from '../../../kernel/iptables/rule-text.ts'
import { type Family, type IP, parseIP, writeIP } from '../../../model/ip.ts'
import type { Protocol } from '../../../model/protocol.ts'
import type { Entry, OwnChain } from '../layout-types.ts'
import { isTreeChain } from './chain-names.ts'
import { readSlot, type TreeShape } from './slot.ts'
import { DispatchTree, defaultLeafSize } from './tree.ts'

const shapes = [
  { root: 'KUBE-SERVICES', family: 'IPv4', kind: 'address' },
  { root: 'KUBE-SERVICES', family: 'IPv6', kind: 'address' },
  { root: 'KUBE-NODEPORTS', family: 'IPv4', kind: 'port' },
] as const satisfies readonly TreeShape[]

const addressDigits = ({ kind, family }: { readonly kind: TreeShape['kind']; readonly family: Family }): number =>
  kind === 'port' ? 0 : family === 'IPv4' ? 8 : 32

/** An entry with a rule, or two as NodePorts on loopback have, that go to chains named after the key and `version`. */
const entry = (shape: TreeShape, key: string, version = 0, rules = 1): Entry => {
  const { address, protocol = 'TCP', port } = readSlot(shape, key)
  const word = protocol.toLowerCase()
  const match = [
    ...(address === undefined ? [] : ['-d', `${address.ip}/${address.bits}`]),
    ...['-p', word, '-m', 'comment', '--comment', `of ${version}`, '-m', word, '--dport', String(port?.first)],
  ]
  return {
    key,
    rules: Array.from({ length: rules }, (_, i) => ruleText(...match, '-j', `SVC-${key}-${version}-${i}`)),
  }
}

const hex = (digits: number, value: number): string => value.toString(16).padStart(digits, '0')

/** Keys of few different digits, so that they meet in all depths, beside some that are far away. */
const keyOf = (shape: TreeShape): fc.Arbitrary<string> => {
  const digits = addressDigits(shape)
  const digit = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('0', '1') }, fc.constantFrom(...'23456789abcdef'))
  const near = fc
    .array(digit, { minLength: Math.min(3, digits), maxLength: Math.min(3, digits) })
    .map((tail) => tail.join('').padStart(digits, digits === 32 ? 'fd00001000960000' : '0a60'))
  const far = fc.array(digit, { minLength: digits, maxLength: digits }).map((all) => all.join(''))
  const port = fc.oneof(fc.nat(20), fc.integer({ min: 30_000, max: 30_100 }), fc.nat(65_535))
  return fc
    .tuple(fc.oneof({ weight: 4, arbitrary: near }, far), fc.constantFrom('0', '1', '2'), port)
    .map(([address, protocol, number]) => address + protocol + hex(4, number))
}

/** Keys that come, or go when they are there, and which of the others go: in thousandths of those that there are. */
interface Toggles {
  readonly keys: readonly string[]
  readonly going: readonly number[]
}

const togglesOf = (shape: TreeShape): fc.Arbitrary<readonly Toggles[]> =>
  fc.array(
    fc.record({
      keys: fc.uniqueArray(keyOf(shape), { maxLength: 25 }),
      going: fc.oneof(fc.constant([]), fc.array(fc.nat(999), { maxLength: 40 })),
    }),
    { minLength: 1, maxLength: 8 },
  )

interface Step {
  readonly before: DispatchTree
  readonly after: DispatchTree
}

/** Runs steps on a tree; a key that comes again has other rules than the last time. */
const run = (
  empty: DispatchTree,
  steps: readonly Toggles[],
  rules: number,
  see: (step: Step) => void = () => {},
): { readonly tree: DispatchTree; readonly entries: ReadonlyMap<string, Entry> } => {
  const entries = new Map<string, Entry>()
  let tree = empty
  for (const [version, { keys, going }] of steps.entries()) {
    const there = [...entries.keys()]
    const picked = going.flatMap((share) => there[Math.floor((share * there.length) / 1000)] ?? [])
    const removed = [...new Set([...keys.filter((key) => entries.has(key)), ...picked])]
    // Every third key that goes comes back at once: its rules are replaced.
    const replaced = removed.filter((_, i) => i % 3 === 0)
    const added = [...keys.filter((key) => !entries.has(key)), ...replaced].map((key) =>
      entry(tree.shape, key, version, rules),
    )
    for (const key of removed) entries.delete(key)
    for (const one of added) entries.set(one.key, one)
    const after = tree.with(added, removed)
    see({ before: tree, after })
    tree = after
  }
  return { tree, entries }
}

const everything = (tree: DispatchTree): readonly OwnChain[] => [
  { name: tree.shape.root, rules: tree.rootRules() },
  ...tree.chains(),
]

const loaded = (tree: DispatchTree): SimulatedTable => {
  const table = new SimulatedTable()
  for (const chain of [...tree.chains(), { name: tree.shape.root, rules: tree.rootRules() }]) table.write(chain)
  return table
}

describe.each(shapes)('a tree of $kind keys, $family', (shape) => {
  const leafSizes = fc.constantFrom(1, 2, 4, 16)
  const start = fc.record({ steps: togglesOf(shape), leafSize: leafSizes, rules: fc.constantFrom(1, 2) })
  const emptyTree = (leafSize: number): DispatchTree => DispatchTree.empty(shape, leafSize)

  it('depends on its entries alone, not on how they came', () => {
    fc.assert(
      fc.property(start, ({ steps, leafSize, rules }) => {
        const { tree, entries } = run(emptyTree(leafSize), steps, rules)
        const atOnce = emptyTree(leafSize).with([...entries.values()].reverse(), [])
        expect(everything(tree)).toEqual(everything(atOnce))
        expect(tree.size).toBe(entries.size)
        expect(tree.ruleCount).toBe(everything(tree).reduce((sum, chain) => sum + chain.rules.length, 0))
        for (const one of entries.values()) expect(tree.get(one.key)).toEqual(one)
      }),
    )
  })

  it('leaves the trees that it came from as they were', () => {
    fc.assert(
      fc.property(start, ({ steps, leafSize, rules }) => {
        const seen: { readonly tree: DispatchTree; readonly was: readonly OwnChain[] }[] = []
        run(emptyTree(leafSize), steps, rules, ({ before }) => seen.push({ tree: before, was: everything(before) }))
        for (const { tree, was } of seen) expect(everything(tree)).toEqual(was)
      }),
    )
  })

  it('names every chain once, in at most 28 characters that nft can read, and knows its names', () => {
    fc.assert(
      fc.property(start, ({ steps, leafSize, rules }) => {
        const { tree } = run(emptyTree(leafSize), steps, rules)
        const names = [...tree.chains()].map(({ name }) => name)
        expect(new Set(names).size).toBe(names.length)
        for (const name of names) {
          expect(name).toMatch(/^WEIR-[A-Za-z0-9.-]{1,23}$/)
          expect(isTreeChain(name)).toBe(true)
        }
      }),
    )
  })

  it('leads the packets of each entry to it, within 16 entries a branch and a leaf, and no others', () => {
    fc.assert(
      fc.property(start, fc.array(keyOf(shape), { maxLength: 20 }), ({ steps, leafSize, rules }, others) => {
        const { tree, entries } = run(emptyTree(leafSize), steps, rules)
        const table = loaded(tree)
        for (const key of [...entries.keys(), ...others]) {
          const { address, protocol, port } = readSlot(shape, key)
          // A packet has an address, whether the rules look at it or not.
          const packet = { ip: address?.ip ?? nodeIP, protocol: protocol ?? 'TCP', port: port?.first ?? 0 }
          const walk = table.walk(shape.root, packet)
          const expected = entries.get(key)?.rules[0]
          expect(walk.reached).toBe(expected)
          expect(walk.depth).toBeLessThanOrEqual(addressDigits(shape) + 5 + 1)
          if (expected === undefined) continue
          expect(walk.tests).toBeLessThanOrEqual(rules * (16 * (walk.depth - 1) + Math.max(16, leafSize)))
        }
      }),
    )
  })

  it('says what to write to get from one tree to the next, in an order in which no jump dangles', () => {
    fc.assert(
      fc.property(start, ({ steps, leafSize, rules }) => {
        const empty = emptyTree(leafSize)
        const table = loaded(empty)
        run(empty, steps, rules, ({ before, after }) => {
          const { written, gone, root } = after.changesSince(before)
          for (const chain of written) {
            expect(table.rules(chain.name)).not.toEqual(chain.rules)
            table.write(chain)
          }
          if (root) table.write({ name: shape.root, rules: after.rootRules() })
          for (const name of gone) table.delete(name)
          expect(table.listing()).toEqual(loaded(after).listing())
        })
      }),
    )
  })

  it('keeps a chain whose entries all make way for others beside them', () => {
    const key = (tail: string): string => tail.padStart(addressDigits(shape) + 5, '0')
    const one = (tail: string, version = 0): Entry => entry(shape, key(tail), version, 1)
    const start = emptyTree(1).with([one('10000'), one('01200'), one('01100')], [])
    const end = start.with([one('01075'), one('01000')], [key('01200'), key('01100')])
    const there = new Set([...start.chains()].map(({ name }) => name))
    const { written, gone } = end.changesSince(start)
    for (const { name } of written) there.add(name)
    for (const name of gone) expect(there.delete(name), name).toBe(true)
    expect([...there].sort()).toEqual([...end.chains()].map(({ name }) => name).sort())
    const back = start.changesSince(end)
    for (const { name } of back.written) there.add(name)
    for (const name of back.gone) there.delete(name)
    expect([...there].sort()).toEqual([...start.chains()].map(({ name }) => name).sort())
  })

  it('says the same between trees that share nothing', () => {
    fc.assert(
      fc.property(start, ({ steps, leafSize, rules }) => {
        const copy = (tree: DispatchTree): DispatchTree => emptyTree(leafSize).with(tree.entries(), [])
        run(emptyTree(leafSize), steps, rules, ({ before, after }) => {
          const byName = ({ written, gone, root }: ReturnType<DispatchTree['changesSince']>) => ({
            written: new Map(written.map((chain) => [chain.name, chain.rules])),
            gone: new Set(gone),
            root,
          })
          expect(byName(copy(after).changesSince(copy(before)))).toEqual(byName(after.changesSince(before)))
        })
      }),
    )
  })
})

const shape = shapes[0]
const cluster = (count: number): readonly Entry[] =>
  // Steps of a number that has no common divisor with 2^20: addresses all over a /12, each once.
  Array.from({ length: count }, (_, i) => entry(shape, `0a6${hex(5, (i * 654_321) % 2 ** 20)}00050`))

describe('a tree of many Services', () => {
  const services = cluster(10_000)
  const tree = DispatchTree.empty(shape).with(services, [])

  it('finds each in few tests', () => {
    const table = loaded(tree)
    for (const { key } of services.filter((_, i) => i % 50 === 0)) {
      const { address } = readSlot(shape, key)
      const walk = table.walk(shape.root, { ip: address?.ip ?? nodeIP, protocol: 'TCP', port: 80 })
      expect(walk.reached).toBe(tree.get(key)?.rules[0])
      expect(walk.tests).toBeLessThanOrEqual(3 * 16 + defaultLeafSize)
    }
  })

  it('changes the chains on the way to one entry, whatever its size', () => {
    const changed = cluster(10_500).slice(10_000)
    for (const one of changed) {
      const more = tree.with([one], [])
      const changes = more.changesSince(tree)
      expect(changes.written.length).toBeLessThanOrEqual(16 + 1)
      expect(changes.gone).toEqual([])
      expect(changes.root).toBe(false)
      const back = more.with([], [one.key]).changesSince(more)
      expect(back.written.length).toBeLessThanOrEqual(1)
      expect(back.gone.length).toBeLessThanOrEqual(16)
    }
    const leaves = changed.filter((one) => tree.with([one], []).changesSince(tree).written.length <= 2)
    expect(leaves.length).toBeGreaterThan(changed.length * 0.9)
  })

  it('is compared without a look at what is shared', () => {
    const asked = new Set<string>()
    const watched = services.map(({ key, rules }) => ({
      key,
      get rules(): readonly RuleText[] {
        asked.add(key)
        return rules
      },
    }))
    const before = DispatchTree.empty(shape).with(watched, [])
    // One among the others, and one so far away that the whole tree gets a new root above it.
    for (const key of ['0a6000010ffff', 'c000020100050']) {
      const after = before.with([entry(shape, key)], [])
      asked.clear()
      after.changesSince(before)
      before.changesSince(after)
      expect(asked.size).toBeLessThanOrEqual(2 * defaultLeafSize)
    }
  })

  it('is the same tree when nothing really changes', () => {
    const [first] = services
    expect(tree.with([], [])).toBe(tree)
    expect(tree.with(first === undefined ? [] : [{ ...first }], [first?.key ?? ''])).toBe(tree)
  })
})

describe('keys that are wrong', () => {
  const key = '0a60000100050'
  const one = DispatchTree.empty(shape).with([entry(shape, key)], [])

  it.each([
    ['is there already', () => one.with([entry(shape, key, 1)], [])],
    ['comes twice', () => DispatchTree.empty(shape).with([entry(shape, key), entry(shape, key, 1)], [])],
    ['comes twice after it went', () => one.with([entry(shape, key), entry(shape, key, 1)], [key])],
    ['is removed and not there', () => DispatchTree.empty(shape).with([], [key])],
    ['is removed twice', () => one.with([], [key, key])],
    ['is of another kind', () => one.with([{ key: '00050', rules: [] }], [])],
    ['has a protocol that is none', () => one.with([{ key: '0a60000130050', rules: [] }], [])],
    ['is upper case', () => one.with([{ key: '0A60000100050', rules: [] }], [])],
  ])('a RangeError when a key %s', (_, change) => {
    expect(change).toThrow(RangeError)
    expect(change).toThrow('KUBE-SERVICES')
    expect(one.size).toBe(1)
  })

  it('leaf sizes that are none', () => {
    for (const size of [0, -1, 1.5, Number.NaN]) expect(() => DispatchTree.empty(shape, size)).toThrow(RangeError)
  })
})

const nodeIP = '192.0.2.10' as IP

interface Packet {
  readonly ip: IP
  readonly protocol: Protocol
  readonly port: number
}

/** Chains of one table, as the kernel keeps and walks them. Chains outside the tree are there and end a walk. */
class SimulatedTable {
  readonly #chains = new Map<string, readonly RuleText[]>()

  rules(name: string): readonly RuleText[] | undefined {
    return this.#chains.get(name)
  }

  /** Sorted, for comparison. */
  listing(): readonly (readonly [string, readonly RuleText[]])[] {
    return [...this.#chains].sort(([a], [b]) => (a < b ? -1 : 1))
  }

  /** Creates a chain, or gives it other rules. */
  write({ name, rules }: OwnChain): void {
    this.#chains.set(name, rules)
    for (const rule of rules) {
      const target = ruleTarget(rule)?.name ?? ''
      if (isTreeChain(target) && !this.#chains.has(target))
        throw new Error(`${name} jumps to ${target}, which is not there`)
    }
  }

  delete(name: string): void {
    if (!this.#chains.delete(name)) throw new Error(`${name} is not there`)
    for (const [caller, rules] of this.#chains)
      if (rules.some((rule) => ruleTarget(rule)?.name === name)) throw new Error(`${caller} jumps to ${name}`)
  }

  /** `reached`: the rule of an entry that matches first. `depth`: chains on the way to it, the root among them. */
  walk(
    root: string,
    packet: Packet,
  ): { readonly reached: RuleText | undefined; readonly tests: number; readonly depth: number } {
    let tests = 0
    let deepest = 0
    const through = (chain: string, depth: number): RuleText | undefined => {
      deepest = Math.max(deepest, depth)
      for (const rule of this.#chains.get(chain) ?? []) {
        tests++
        if (!matches(rule, packet)) continue
        const target = ruleTarget(rule)?.name ?? ''
        const reached = isTreeChain(target) ? through(target, depth + 1) : rule
        if (reached !== undefined) return reached
      }
      return undefined
    }
    const reached = through(root, 1)
    return { reached, tests, depth: deepest }
  }
}

const matches = (rule: RuleText, packet: Packet): boolean => {
  const words = ruleWords(rule)
  const argument = (option: string): string | undefined =>
    words.includes(option) ? words[words.indexOf(option) + 1] : undefined
  const [destination, bits] = argument('-d')?.split('/') ?? []
  const [low, high = low] = argument('--dport')?.split(':').map(Number) ?? []
  const protocol = argument('-p')
  return (
    (destination === undefined ||
      binary(destination).slice(0, Number(bits)) === binary(packet.ip).slice(0, Number(bits))) &&
    (protocol === undefined || protocol === packet.protocol.toLowerCase()) &&
    (low === undefined || high === undefined || (low <= packet.port && packet.port <= high))
  )
}

/** All bits of an address as text. */
const binary = (text: string): string => {
  const ip = parseIP(text)
  if (ip === undefined) throw new Error(`no address: ${text}`)
  const bytes = new Uint8Array(ip.includes(':') ? 16 : 4)
  writeIP(ip, bytes, 0)
  return Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
}
