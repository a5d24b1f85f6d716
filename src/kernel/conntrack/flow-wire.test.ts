import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Flow, type FlowEnd, flowAddress, flowEnd } from '../../model/flow.ts'
import { addressBytes, type Family, families, readIP } from '../../model/ip.ts'
import { type Protocol, protocolNumber } from '../../model/protocol.ts'
import { KernelError } from '../netlink/error.ts'
import { MessageReader, Writer } from '../netlink/wire.ts'
import { FlowReader } from './flow-reader.ts'
import { allFlowsBody, deleteBody, flowsBody, writeTuple } from './flow-wire.ts'

const port = fc.nat(0xffff)
const end = (family: Family): fc.Arbitrary<FlowEnd> =>
  fc
    .tuple(fc.uint8Array({ minLength: addressBytes(family), maxLength: addressBytes(family) }), port)
    .map(([bytes, number]) => {
      const view = new DataView(new ArrayBuffer(16))
      for (const [i, byte] of bytes.entries()) view.setUint8(i, byte)
      const [w0, w1, w2, w3] = [0, 4, 8, 12].map((at) => view.getInt32(at)) as [number, number, number, number]
      return { w0, w1, w2, w3, port: number }
    })
const flow: fc.Arbitrary<Flow> = fc
  .record({
    family: fc.constantFrom(...families),
    protocol: fc.constantFrom<Protocol>('TCP', 'UDP', 'SCTP'),
  })
  .chain(({ family, protocol }) =>
    fc.record({
      family: fc.constant(family),
      protocol: fc.constant(protocol),
      source: end(family),
      destination: end(family),
      target: end(family),
      zone: port,
      id: fc.nat(0xffffffff),
    }),
  )

/** Turns what `deleteBody` makes into a message; `behind` are further attributes. */
const message = (body: (writer: Writer) => void, behind: (writer: Writer) => void = () => {}): Uint8Array => {
  const writer = new Writer()
  const start = writer.message(0x100, 2, 1)
  body(writer)
  behind(writer)
  writer.endMessage(start)
  return writer.finish()
}

const attributesOf = (bytes: Uint8Array): readonly Uint8Array[] => {
  const messages = new MessageReader(bytes)
  messages.next()
  const attributes = messages.attributes(4)
  const out: Uint8Array[] = []
  while (attributes.next()) out.push(bytes.slice(attributes.start - 4, (attributes.end + 3) & ~3))
  return out
}

/** As the kernel sends it, the attributes in the order that `rotate` says; the last one can then be any of them. */
const entry = (value: Flow, rotate = 0): Uint8Array => {
  const [original, ...others] = attributesOf(message(deleteBody(value)))
  const { family, protocol, source, target } = value
  const [reply] = attributesOf(
    message((writer) => {
      writer.reserve(4)
      writeTuple(writer, 2, family, protocol, target, source)
    }),
  )
  if (original === undefined || reply === undefined) throw new TypeError('no tuples')
  const all = [original, reply, ...others]
  const turned = [...all.slice(rotate % all.length), ...all.slice(0, rotate % all.length)]
  return message((writer) => {
    const at = writer.reserve(4)
    writer.view.setUint8(at, value.family === 'IPv4' ? 2 : 10)
    for (const attribute of turned) writer.bytes.set(attribute, writer.reserve(attribute.length))
  })
}

const read = (bytes: Uint8Array, filter: Pick<Flow, 'family' | 'protocol'>): Flow | undefined => {
  const messages = new MessageReader(bytes)
  return messages.next() ? new FlowReader(filter).read(messages)?.copy() : undefined
}

const codeOf = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
  return 'none'
}

/** Shortens a message, its length said as it is then. */
const shortened = (bytes: Uint8Array, length: number): Uint8Array => {
  const cut = bytes.slice(0, length)
  if (length >= 4) new DataView(cut.buffer).setUint32(0, length, true)
  return cut
}

test('reads what was written, whatever the order', () => {
  fc.assert(
    fc.property(flow, fc.nat(3), (value, rotate) => {
      expect(read(entry(value, rotate), value)).toEqual(value)
    }),
  )
})

describe('a message that ends too early is an error', () => {
  test('as it came', () => {
    fc.assert(
      fc.property(flow, fc.nat(), (value, at) => {
        const bytes = entry(value)
        const length = 1 + (at % (bytes.length - 1))
        expect(codeOf(() => read(bytes.subarray(0, length), value))).toBe('malformed')
      }),
    )
  })

  test('with a length that says so', () => {
    fc.assert(
      fc.property(flow, fc.nat(), fc.nat(), (value, at, rotate) => {
        // Only a zone may be missing, so it is not the last one.
        const named = { ...value, zone: 0 }
        const bytes = entry(named, rotate)
        const length = 16 + (at % (bytes.length - 16))
        expect(codeOf(() => read(shortened(bytes, length), named))).toBe('malformed')
      }),
    )
  })

  test('also inside: every attribute that lost its last four bytes', () => {
    fc.assert(
      fc.property(flow, fc.nat(3), (value, which) => {
        const bytes = entry({ ...value, zone: 0 }, which)
        const parts = attributesOf(bytes)
        const last = parts.at(-1)
        if (last === undefined) throw new TypeError('no attributes')
        const cut = shortened(bytes, bytes.length - 4)
        new DataView(cut.buffer).setUint16(bytes.length - last.length, last.length - 4, true)
        expect(codeOf(() => read(cut, value))).toBe('malformed')
      }),
    )
  })
})

test('whatever bytes come are read or refused', () => {
  fc.assert(
    fc.property(flow, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), (value, changes) => {
      const bytes = entry(value)
      for (const [at, byte] of changes) bytes[16 + (at % (bytes.length - 16))] = byte
      expect(['none', 'malformed']).toContain(codeOf(() => read(bytes, value)))
    }),
  )
})

test('a zone of the original direction counts, one of the replies does not', () => {
  fc.assert(
    fc.property(flow, fc.integer({ min: 1, max: 0xffff }), fc.boolean(), (value, zone, ofReplies) => {
      const bytes = entry({ ...value, zone: 0 })
      const parts = attributesOf(bytes).map((part, i) => {
        if (i !== (ofReplies ? 1 : 0)) return part
        const longer = new Uint8Array(part.length + 8)
        longer.set(part)
        const view = new DataView(longer.buffer)
        view.setUint16(0, longer.length, true)
        view.setUint16(part.length, 6, true)
        view.setUint16(part.length + 2, 3, true)
        view.setUint16(part.length + 4, zone)
        return longer
      })
      const zoned = message((writer) => {
        writer.bytes.set(bytes.subarray(16, 20), writer.reserve(4))
        for (const part of parts) writer.bytes.set(part, writer.reserve(part.length))
      })
      expect(read(zoned, value)?.zone).toBe(ofReplies ? 0 : zone)
    }),
  )
})

test('other families and protocols are passed over, those without ports too', () => {
  fc.assert(
    fc.property(flow, fc.constantFrom(...families), fc.constantFrom<Protocol>('TCP', 'UDP', 'SCTP'), (value, f, p) => {
      const found = read(entry(value), { family: f, protocol: p })
      expect(found !== undefined).toBe(f === value.family && p === value.protocol)
    }),
  )
  const icmp = message((writer) => {
    writer.view.setUint8(writer.reserve(4), 2)
    for (const type of [1, 2]) {
      const outer = writer.nest(type)
      const inner = writer.nest(2)
      writer.u8(1, 1)
      writer.u16be(4, 7)
      writer.endNest(inner)
      writer.endNest(outer)
    }
  })
  expect(read(icmp, { family: 'IPv4', protocol: 'UDP' })).toBeUndefined()
})

test('one reader reads many, and what it read is overwritten', () => {
  fc.assert(
    fc.property(fc.array(flow, { minLength: 2, maxLength: 5 }), (values) => {
      const [first] = values
      if (first === undefined) throw new TypeError('no flow')
      const { family, protocol } = first
      const alike = values.filter((value) => value.family === family && value.protocol === protocol)
      const reader = new FlowReader(first)
      const copies: unknown[] = []
      const views = new Set<unknown>()
      for (const value of alike) {
        const messages = new MessageReader(entry(value))
        messages.next()
        const view = reader.read(messages)
        views.add(view)
        copies.push(view?.copy())
      }
      expect(copies).toEqual(alike)
      expect(views.size).toBe(1)
    }),
  )
})

test('the numbers of an end are those of its address', () => {
  fc.assert(
    fc.property(flow, ({ family, destination }) => {
      const bytes = new Uint8Array(16)
      const view = new DataView(bytes.buffer)
      for (const [i, word] of [destination.w0, destination.w1, destination.w2, destination.w3].entries())
        view.setInt32(4 * i, word)
      const ip = readIP(family, bytes, 0)
      // An IPv4-mapped address is no IPv6 address here.
      fc.pre(family === 'IPv4' || !ip.startsWith('::ffff:'))
      expect(flowEnd(ip, destination.port)).toEqual(destination)
      expect(flowAddress(family, destination)).toBe(ip)
    }),
  )
})

test('asks for one protocol only, or for all', () => {
  const writer = new Writer()
  flowsBody({ family: 'IPv6', protocol: 'UDP' })(writer)
  expect(Buffer.from(writer.finish()).toString('hex')).toBe(
    [
      '0a000000',
      '10000180',
      '0c000280',
      `05000100${protocolNumber.UDP.toString(16)}000000`,
      '0c001980',
      '0800010008000000',
    ].join(''),
  )
  const all = new Writer()
  allFlowsBody('IPv4')(all)
  expect(Buffer.from(all.finish()).toString('hex')).toBe('02000000')
})
