import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cidr, cidrOf } from '../../model/cidr.ts'
import { addressBytes, type Family, families, type IP, readIP } from '../../model/ip.ts'
import { type Port, parsePort } from '../../model/port.ts'
import type { Protocol } from '../../model/protocol.ts'
import { KernelError } from '../netlink/error.ts'
import { Reader, Writer } from '../netlink/wire.ts'
import { setTypes } from './ipset.ts'
import { ipMember, ipPort, ipPortIp, ipPortMark, ipPortNet, type Member, portMember } from './member.ts'
import { formatMember, type MemberShape, parseMember } from './member-value.ts'
import { readMember, writeMember } from './member-wire.ts'

/** The attributes of one member, as they are inside its IPSET_ATTR_DATA. */
const encode = (shape: MemberShape, member: string): Uint8Array => {
  const value = parseMember(shape, member)
  if (value === undefined) throw new Error(member)
  const writer = new Writer()
  writeMember(writer, value, 1)
  // IPSET_ATTR_CADT_LINENO is ours; the kernel does not answer with it.
  return writer.finish().slice(4, -8)
}

const decode = (shape: MemberShape, bytes: Uint8Array): Member =>
  formatMember(readMember(shape, new Reader(bytes)), shape.family)

/** The IPSET_ATTR_DATA of which these are the attributes. */
const wrap = (bytes: Uint8Array): Uint8Array => {
  const writer = new Writer()
  writer.value(7, bytes)
  return writer.finish()
}

const unwrap = (bytes: Uint8Array): Uint8Array => {
  const outer = new Reader(bytes)
  return outer.next() ? outer.value() : new Uint8Array()
}

/** The member, or undefined when the bytes are refused as they should be. */
const decodeOrRefuse = (
  shape: MemberShape,
  bytes: Uint8Array,
  inner = (all: Uint8Array): Uint8Array => all,
): Member | undefined => {
  try {
    return decode(shape, inner(bytes))
  } catch (error) {
    expect(error).toBeInstanceOf(KernelError)
    expect(error).toMatchObject({ code: 'malformed' })
    return undefined
  }
}

/** Where padding is, and the byte with the flags of an attribute. */
const meaningless = (bytes: Uint8Array, from = 0, to = bytes.length): Set<number> => {
  const found = new Set<number>()
  for (let at = from; at < to; ) {
    const end = at + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8))
    const flags = bytes[at + 3] ?? 0
    found.add(at + 3)
    if ((flags & 0x80) !== 0) for (const inner of meaningless(bytes, at + 4, end)) found.add(inner)
    for (at = end; at % 4 !== 0; at++) found.add(at)
  }
  return found
}

const address = (family: Family): fc.Arbitrary<IP> => {
  const length = addressBytes(family)
  // Runs of zeros are what makes IPv6 text hard.
  const byte = fc.oneof(fc.constant(0), fc.nat(255))
  return fc
    .array(byte, { minLength: length, maxLength: length })
    .map((bytes) => readIP(family, Uint8Array.from(bytes), 0))
}
const port = fc.integer({ min: 1, max: 65535 }).map((value) => {
  const parsed = parsePort(value)
  if (parsed === undefined) throw new Error(String(value))
  return parsed
})
const protocol = fc.constantFrom<Protocol>('TCP', 'UDP', 'SCTP')
const network = (family: Family) =>
  fc.tuple(address(family), fc.integer({ min: 1, max: family === 'IPv4' ? 32 : 128 })).map(([ip, n]) => cidrOf(ip, n))

const mark = fc.oneof(fc.constantFrom(0, 1, 0xffffffff), fc.nat(0xffffffff))
const masked = fc
  .tuple(mark, mark)
  .filter(([value, mask]) => mask !== 0xffffffff && (value !== 0 || mask !== 0))
  .map(([value, mask]) => ` skbmark 0x${value.toString(16)}/0x${mask.toString(16)}`)

const membersOf = ({ type, family, marks }: MemberShape): fc.Arbitrary<Member> => {
  switch (type) {
    case 'bitmap:port':
      return port.map(portMember)
    case 'hash:ip':
      return address(family).map(ipMember)
    case 'hash:ip,port': {
      const plain = fc.tuple(address(family), protocol, port).map((parts) => ipPort(...parts))
      if (marks === undefined) return plain
      const marked = fc.tuple(address(family), protocol, port, mark).map((parts) => ipPortMark(...parts))
      return fc.oneof(
        plain,
        marked,
        fc.tuple(plain, masked).map((parts) => parts.join('') as Member),
      )
    }
    case 'hash:ip,port,ip':
      return fc.tuple(address(family), protocol, port, address(family)).map((parts) => ipPortIp(...parts))
    case 'hash:ip,port,net':
      return fc.tuple(address(family), protocol, port, network(family)).map((parts) => ipPortNet(...parts))
  }
}

const shapes = setTypes.flatMap((type) =>
  families.flatMap((family): readonly MemberShape[] =>
    type === 'hash:ip,port'
      ? [
          { type, family },
          { type, family, marks: true },
        ]
      : [{ type, family }],
  ),
)

describe.each(shapes)('$type, $family, marks: $marks', (shape) => {
  const members = membersOf(shape)

  test('what is written is read', () => {
    fc.assert(
      fc.property(members, (member) => {
        expect(decode(shape, encode(shape, member))).toBe(member)
      }),
    )
  })

  test('what is cut off is refused', () => {
    fc.assert(
      fc.property(members, fc.nat(), (member, at) => {
        const whole = wrap(encode(shape, member))
        const cut = whole.slice(0, at % whole.length)
        expect(decodeOrRefuse(shape, cut, unwrap)).toBe(undefined)
      }),
    )
  })

  test('a changed byte gives another member or none, and never crashes', () => {
    fc.assert(
      fc.property(members, fc.nat(), fc.integer({ min: 1, max: 255 }), (member, at, change) => {
        const bytes = encode(shape, member)
        const free = meaningless(bytes)
        const where = at % bytes.length
        bytes[where] = (bytes[where] ?? 0) ^ change
        if (decodeOrRefuse(shape, bytes) === member) expect([...free]).toContain(where)
      }),
    )
  })

  test('arbitrary bytes are refused or read, and never crash', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void decodeOrRefuse(shape, bytes)))
  })

  test('a text is taken only as it is written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f.:,/tcpud]{0,40}$/)), (text) => {
        const value = parseMember(shape, text)
        if (value !== undefined) expect(formatMember(value, shape.family)).toBe(text)
      }),
    )
  })
})

describe('texts', () => {
  const ip4: MemberShape = { type: 'hash:ip,port', family: 'IPv4' }
  const ip6: MemberShape = { type: 'hash:ip,port', family: 'IPv6' }
  const marked4: MemberShape = { type: 'hash:ip,port', family: 'IPv4', marks: true }
  const only4: MemberShape = { type: 'hash:ip', family: 'IPv4' }
  const only6: MemberShape = { type: 'hash:ip', family: 'IPv6' }
  const pair4: MemberShape = { type: 'hash:ip,port,ip', family: 'IPv4' }
  const net4: MemberShape = { type: 'hash:ip,port,net', family: 'IPv4' }
  const net6: MemberShape = { type: 'hash:ip,port,net', family: 'IPv6' }
  const ports: MemberShape = { type: 'bitmap:port', family: 'IPv4' }

  test.each<[MemberShape, string]>([
    [ip4, '10.0.0.1,tcp:0'],
    [ip4, '10.0.0.1,sctp:65535'],
    [ip4, '10.0.0.1,udplite:7'],
    [ip4, '10.0.0.1,1:2048'],
    [ip4, '10.0.0.1,47:0'],
    [ip6, '::,udp:53'],
    [ip6, '::ffff:a00:1,tcp:80'],
    [ip6, '2001:db8::,58:32768'],
    [net4, '10.0.0.1,tcp:80,10.0.0.2'],
    [net4, '10.0.0.1,tcp:80,128.0.0.0/1'],
    [net4, '10.0.0.1,tcp:80,10.0.0.0/8 nomatch'],
    [net6, 'fd00::1,tcp:80,fd00::2'],
    [marked4, '10.0.0.1,tcp:80'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x0'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0xffffffff'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x1/0xff'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x1/0x0'],
    [only4, '10.0.0.1'],
    [only6, 'fd00::1'],
    [ports, '0'],
  ])('%o holds %s', (shape, member) => {
    expect(decode(shape, encode(shape, member))).toBe(member)
  })

  test.each<[MemberShape, string]>([
    [ip4, ''],
    [ip4, '10.0.0.1'],
    [ip4, '10.0.0.1,80'],
    [ip4, '10.0.0.1,tcp:'],
    [ip4, '10.0.0.1,tcp:65536'],
    [ip4, '10.0.0.1,tcp:080'],
    [ip4, '10.0.0.1,TCP:80'],
    [ip4, '10.0.0.1,6:80'],
    [ip4, '10.0.0.1,0:0'],
    [ip4, '10.0.0.1,256:0'],
    [ip4, '10.0.0.1,47:80'],
    [ip4, '10.0.0.1,58:1'],
    [ip4, '10.0.0.01,tcp:80'],
    [ip4, '10.0.0.256,tcp:80'],
    [ip4, '10.0.0,tcp:80'],
    [ip4, '10.0.0.1.2,tcp:80'],
    [ip4, 'fd00::1,tcp:80'],
    [ip4, '10.0.0.1,tcp:80,10.0.0.1'],
    [ip4, '10.0.0.1,tcp:80 nomatch'],
    [ip6, '10.0.0.1,tcp:80'],
    [ip6, 'FD00::1,tcp:80'],
    [ip6, 'fd00:0::1,tcp:80'],
    [ip6, '::ffff:10.0.0.1,tcp:80'],
    [ip6, 'fd00::1%1,tcp:80'],
    [ip6, '1:2:3:4:5:6:7:8:9,tcp:80'],
    [ip4, '10.0.0.1,tcp:80 skbmark 0x1'],
    [marked4, '10.0.0.1,tcp:80 skbmark 1'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x01'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0xA'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x100000000'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x1/0xffffffff'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x0/0x0'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x1/'],
    [marked4, '10.0.0.1,tcp:80 skbmark 0x1 skbmark 0x1'],
    [marked4, '10.0.0.1,tcp:80  skbmark 0x1'],
    [only4, '10.0.0.1/32'],
    [only4, 'fd00::1'],
    [only6, '10.0.0.1'],
    [pair4, '10.0.0.1,tcp:80'],
    [pair4, '10.0.0.1,tcp:80,'],
    [pair4, '10.0.0.1,tcp:80,10.0.0.1/31'],
    [pair4, '10.0.0.1,tcp:80,10.0.0.1,10.0.0.1'],
    [net4, '10.0.0.1,tcp:80'],
    [net4, '10.0.0.1,tcp:80,10.0.0.1/32'],
    [net4, '10.0.0.1,tcp:80,10.0.0.1/24'],
    [net4, '10.0.0.1,tcp:80,0.0.0.0/0'],
    [net4, '10.0.0.1,tcp:80,10.0.0.0/33'],
    [net4, '10.0.0.1,tcp:80,10.0.0.0/'],
    [net4, '10.0.0.1,tcp:80,fd00::/64'],
    [net6, 'fd00::1,tcp:80,fd00::1/128'],
    [net6, 'fd00::1,tcp:80,fd00::1/129'],
    [ports, '65536'],
    [ports, '-1'],
    [ports, '1-5'],
    [ports, '10.0.0.1,tcp:80'],
  ])('%o refuses %s', (shape, member) => {
    expect(parseMember(shape, member)).toBe(undefined)
  })

  test('a single address is a network without a length', () => {
    const of = (ip: string, net: string) => ipPortNet(ip as IP, 'TCP', 80 as Port, net as Cidr)
    expect(of('10.0.0.1', '10.0.0.2/32')).toBe('10.0.0.1,tcp:80,10.0.0.2')
    expect(of('fd00::1', 'fd00::2/128')).toBe('fd00::1,tcp:80,fd00::2')
    expect(of('fd00::1', 'fd00::/32')).toBe('fd00::1,tcp:80,fd00::/32')
    expect(of('10.0.0.1', '0.0.0.0/3')).toBe('10.0.0.1,tcp:80,0.0.0.0/3')
  })
})

describe('odd attributes', () => {
  const shape: MemberShape = { type: 'hash:ip,port,net', family: 'IPv4' }
  const inner = (type: number, ...bytes: readonly number[]) => ({ type, bytes: Uint8Array.from(bytes) })
  const ip = (...addresses: readonly ReturnType<typeof inner>[]) => ({ type: 1, addresses })
  const other = { type: 20, addresses: [inner(1, 10, 0, 0, 0)] }
  const rest = [inner(4, 0, 80), inner(7, 6), inner(21, 8)]
  const whole = [ip(inner(1, 10, 0, 0, 1)), other, ...rest]
  const read = (attributes: typeof whole): Member | undefined => {
    const writer = new Writer()
    for (const attribute of attributes)
      if ('bytes' in attribute) writer.value(attribute.type, attribute.bytes)
      else {
        const nest = writer.nest(attribute.type)
        for (const { type, bytes } of attribute.addresses) writer.value(type, bytes)
        writer.endNest(nest)
      }
    return decodeOrRefuse(shape, writer.finish())
  }

  test('in any order they make a member', () => {
    expect(read(whole)).toBe('10.0.0.1,tcp:80,10.0.0.0/8')
    expect(read(whole.toReversed())).toBe('10.0.0.1,tcp:80,10.0.0.0/8')
    expect(read([...whole, inner(6, 0, 0, 0, 9)])).toBe('10.0.0.1,tcp:80,10.0.0.0/8')
  })

  test.each([
    ['one missing', whole.slice(1)],
    ['one twice', [...whole, inner(7, 17)]],
    ['one of another kind of set', [...whole, inner(18, 1)]],
    ['an address without bytes', [ip(), other, ...rest]],
    ['two addresses for one', [ip(inner(1, 10, 0, 0, 1), inner(1, 10, 0, 0, 2)), other, ...rest]],
    ['an address of the other family', [ip(inner(2, ...new Uint8Array(16))), other, ...rest]],
    ['a short address', [ip(inner(1, 10, 0, 0)), other, ...rest]],
    ['no length of a network', whole.slice(0, -1)],
    ['a network of length 0', [...whole.slice(0, -1), inner(21, 0)]],
    ['a network of length 33', [...whole.slice(0, -1), inner(21, 33)]],
    ['a network with host bits', [...whole.slice(0, -1), inner(21, 4)]],
    ['unknown flags', [...whole, inner(8, 0, 0, 0, 1)]],
  ])('%s is refused', (_, attributes) => {
    expect(read(attributes)).toBe(undefined)
  })
})
