import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageReader } from '../../kernel/netlink/wire.ts'
import { Batch } from '../../kernel/nft/batch.ts'
import { readElements } from '../../kernel/nft/element.ts'
import { cidrOf } from '../../model/cidr.ts'
import { addressBytes, type Family, families, type IP, readIP } from '../../model/ip.ts'
import type { Port } from '../../model/port.ts'
import { keyWidth, readElement, writeElement, writeSlots } from './codec.ts'
import { type Element, type ElementVerdict, elementOfKey, keyText, type Part } from './element.ts'
import { slotElements } from './layout.ts'
import { type Field, nftFamily, type SetName, schemaOf, setNames, tableName } from './schema.ts'

const anyIP = (family: Family): fc.Arbitrary<IP> =>
  fc
    .oneof(
      fc.uint8Array({ minLength: addressBytes(family), maxLength: addressBytes(family) }),
      fc.constantFrom(0, 1, 255).map((byte) => new Uint8Array(addressBytes(family)).fill(byte)),
    )
    .map((bytes) => readIP(family, bytes, 0))
    // An IPv4 address in IPv6 clothes is not an IPv6 address of ours.
    .filter((ip) => !ip.startsWith('::ffff:'))

const anyPart = (field: Field, family: Family): fc.Arbitrary<Part> => {
  switch (field) {
    case 'address':
      return anyIP(family)
    case 'protocol':
      return fc.constantFrom<Part>('TCP', 'UDP', 'SCTP')
    case 'port':
      return fc.integer({ min: 1, max: 65_535 })
    case 'slot':
      return fc.oneof(fc.nat(20), fc.integer({ min: 65_536, max: 140_000 }), fc.constant(0xffff_ffff))
    case 'network':
      return fc
        .tuple(anyIP(family), fc.integer({ min: 0, max: 8 * addressBytes(family) }))
        .map(([ip, bits]) => cidrOf(ip, bits))
    case 'boundary':
      return fc.tuple(fc.constantFrom('begin', 'end'), anyIP(family)).map(([end, ip]) => `${end} ${ip}` as Part)
  }
}

const parts = (fields: readonly Field[], family: Family): fc.Arbitrary<readonly Part[]> =>
  fc.tuple(...fields.map((field) => anyPart(field, family)))

const verdict: fc.Arbitrary<ElementVerdict> = fc.oneof(
  fc.constant({ kind: 'drop' } as const),
  fc.stringMatching(/^[a-z][a-z0-9/.-]{0,100}$/).map((chain) => ({ kind: 'goto', chain }) as const),
)

const anyElement = (set: SetName, family: Family): fc.Arbitrary<Element> => {
  const { key, value } = schemaOf(set)
  const anyValue: fc.Arbitrary<Element['value']> =
    value === 'none' ? fc.constant(undefined) : value === 'verdict' ? verdict : parts(value, family)
  return fc.record({
    set: fc.constant(set),
    key: parts(key, family),
    value: anyValue,
    comment: fc.option(fc.stringMatching(/^[a-z0-9/:-]{1,128}$/), { nil: undefined }),
  })
}

const wire = (elements: readonly Element[], op: 'add' | 'delete', family: Family): Uint8Array => {
  const batch = new Batch(nftFamily(family), tableName)
  for (const element of elements) {
    batch.elements(op, element.set)
    writeElement(batch, element, op, family)
  }
  return batch.finish()
}

const read = (set: SetName, family: Family, bytes: Uint8Array): readonly (Element | undefined)[] => {
  const found: (Element | undefined)[] = []
  const message = new MessageReader(bytes)
  while (message.next()) {
    if (message.type < 0x100) continue
    readElements(message, (key, keyEnd, data, comment, flags) => {
      found.push(readElement(set, family, { key, keyEnd, data, comment, intervalEnd: (flags & 1) === 1 }))
    })
  }
  return found
}

const cases = families.flatMap((family) => setNames.map((set) => ({ family, set })))

describe.each(cases)('$set of $family', ({ family, set }) => {
  it('reads what it writes', () => {
    fc.assert(
      fc.property(fc.array(anyElement(set, family), { minLength: 1, maxLength: 5 }), (elements) => {
        expect(read(set, family, wire(elements, 'add', family))).toEqual(elements)
      }),
      { numRuns: 60 },
    )
  })

  it('knows an element by the text of its key', () => {
    fc.assert(
      fc.property(anyElement(set, family), (element) => {
        const known = elementOfKey(set, keyText(element))
        expect(wire([known], 'delete', family)).toEqual(wire([element], 'delete', family))
      }),
      { numRuns: 40 },
    )
  })

  it('does not mistake another width for its own', () => {
    const raw = { keyEnd: undefined, data: undefined, comment: undefined, intervalEnd: false }
    for (const key of [0, 4, keyWidth(set, family) - 4, keyWidth(set, family) + 4])
      if (key !== keyWidth(set, family))
        expect(readElement(set, family, { ...raw, key: new Uint8Array(Math.max(0, key)) })).toBeUndefined()
  })
})

describe.each([
  { family: 'IPv4', set: 'endpoints' },
  { family: 'IPv6', set: 'endpoints' },
  { family: 'IPv4', set: 'nodeport-endpoints' },
  { family: 'IPv6', set: 'nodeport-endpoints' },
] as const)('a run of slots in $set of $family', ({ family, set }) => {
  it('is written as its elements are', () => {
    const key = parts(schemaOf(set).key.slice(0, -1), family)
    const target = fc.record({
      ip: anyIP(family),
      port: fc.integer({ min: 1, max: 65_535 }).map((port) => port as Port),
      weight: fc.constant(1),
      local: fc.boolean(),
    })
    const run = fc.record({
      set: fc.constant(set),
      key,
      offset: fc.constantFrom(0, 65_536),
      targets: fc.array(target, { maxLength: 9 }),
    })
    fc.assert(
      fc.property(run, (value) => {
        const [fast, plain] = [new Batch(nftFamily(family), tableName), new Batch(nftFamily(family), tableName)]
        fast.elements('add', set)
        writeSlots(fast, value, family)
        plain.elements('add', set)
        for (const element of slotElements(value)) writeElement(plain, element, 'add', family)
        expect(fast.finish()).toEqual(plain.finish())
      }),
    )
  })
})

describe('what is none of ours', () => {
  const raw = { keyEnd: undefined, data: undefined, comment: undefined, intervalEnd: false }
  const server = Uint8Array.of(10, 0, 0, 1, 6, 0, 0, 0, 0, 80, 0, 0)

  it('reads as nothing: protocols, verdicts, values and ranges', () => {
    const icmp = Uint8Array.of(10, 0, 0, 1, 1, 0, 0, 0, 0, 80, 0, 0)
    expect(readElement('services', 'IPv4', { ...raw, key: icmp, data: { kind: 'drop' } })).toBeUndefined()
    expect(readElement('services', 'IPv4', { ...raw, key: server, data: { kind: 'accept' } })).toBeUndefined()
    expect(readElement('services', 'IPv4', { ...raw, key: server, data: { kind: 'jump', chain: 'x' } })).toBeUndefined()
    expect(readElement('services', 'IPv4', { ...raw, key: server })).toBeUndefined()
    expect(readElement('services', 'IPv4', { ...raw, key: server, data: new Uint8Array(8) })).toBeUndefined()
    const endpoint = Uint8Array.of(...server, 0, 0, 0, 0)
    expect(readElement('endpoints', 'IPv4', { ...raw, key: endpoint, data: { kind: 'drop' } })).toBeUndefined()
    const from = Uint8Array.of(...server, 10, 0, 0, 0)
    expect(readElement('allowed-sources', 'IPv4', { ...raw, key: from })).toBeUndefined()
    const odd = Uint8Array.of(...server, 10, 0, 0, 6)
    expect(readElement('allowed-sources', 'IPv4', { ...raw, key: from, keyEnd: odd })).toBeUndefined()
    const whole = Uint8Array.of(...server, 10, 0, 0, 7)
    expect(readElement('allowed-sources', 'IPv4', { ...raw, key: from, keyEnd: whole })?.key.at(-1)).toBe('10.0.0.0/29')
  })
})
