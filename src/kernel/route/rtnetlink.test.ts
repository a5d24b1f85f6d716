/** What we send is what iproute2 sends, and what the kernel answers it we read: captures of iproute2 6.1 in test/golden. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { cidrOf, parseCidr } from '../../model/cidr.ts'
import { addressBytes, type Family, families, type IP, parseIP, readIP } from '../../model/ip.ts'
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST } from '../netlink/constants.ts'
import { KernelError } from '../netlink/error.ts'
import type { Request } from '../netlink/request.ts'
import { MessageReader, Writer } from '../netlink/wire.ts'
import { addition, removal } from './address-request.ts'
import type { Link } from './interface-address.ts'
import { dummyRequest } from './link-request.ts'
import type { RouteEntry } from './route-entry.ts'
import { isWritable, RTM_DELROUTE, RTM_NEWROUTE, readRoute, routeBody, type WritableRoute } from './rtmsg.ts'
import { RTM_NEWADDR, RTM_NEWLINK, readAddress, readLink } from './rtnetlink.ts'

const golden = z
  .object({ captures: z.array(z.object({ command: z.string(), messages: z.array(z.object({ hex: z.string() })) })) })
  .parse(
    JSON.parse(readFileSync(new URL('../../../test/golden/netlink/rtnetlink.golden.json', import.meta.url), 'utf8')),
  )
const captured = (command: string): readonly Uint8Array[] => {
  const capture = golden.captures.find((each) => each.command === command)
  if (capture === undefined) throw new Error(`no capture of ${command}`)
  return capture.messages.map(({ hex }) => Buffer.from(hex, 'hex'))
}

const ip = (text: string): IP => parseIP(text) ?? bad(text)
const bad = (text: string): never => {
  throw new Error(text)
}

type Tree = readonly [type: number, value: string | readonly Tree[]]
const LINKINFO = 18

/** Attributes by type, whose order means nothing. iproute2 flags no nest, and ends no kind with a zero. */
const tree = (bytes: Uint8Array, nest?: number): readonly Tree[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out: Tree[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + view.getUint16(at, true)
    const type = view.getUint16(at + 2, true) & 0x3fff
    const value = bytes.subarray(at + 4, end)
    out.push([
      type,
      type === nest ? tree(value).map(([inner, hex]) => [inner, String(hex).replace(/00$/, '')]) : hexOf(value),
    ])
    at = (end + 3) & ~3
  }
  return out.sort(([a], [b]) => a - b)
}
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const headerLengths: Readonly<Record<number, number>> = { [RTM_NEWLINK]: 16, 20: 8, 21: 8, 24: 12, 25: 12 }

const essence = (message: Uint8Array): unknown => {
  const view = new DataView(message.buffer, message.byteOffset, message.length)
  const type = view.getUint16(4, true)
  const start = 16 + (headerLengths[type] ?? bad(String(type)))
  const header = hexOf(message.subarray(16, start))
  return [
    type,
    view.getUint16(6, true),
    header,
    tree(message.subarray(start), type === RTM_NEWLINK ? LINKINFO : undefined),
  ]
}

const encode = ({ type, flags = 0, body }: Omit<Request, 'op'>): Uint8Array => {
  const writer = new Writer()
  const at = writer.message(type, NLM_F_REQUEST | NLM_F_ACK | flags, 1)
  body?.(writer)
  writer.endMessage(at)
  return writer.finish()
}

const br0: Link = { name: 'br0', index: 2, kind: 'bridge', up: true }
const entry = (kind: WritableRoute['kind'], destination: string, more: Partial<RouteEntry> = {}): WritableRoute => ({
  ...{ destination: parseCidr(destination) ?? bad(destination), table: 1000, metric: 0 },
  ...{ index: undefined, gateway: undefined, ...more, kind },
})
const put = (route: WritableRoute): Omit<Request, 'op'> => ({
  type: RTM_NEWROUTE,
  flags: NLM_F_CREATE | NLM_F_REPLACE,
  body: routeBody(RTM_NEWROUTE, route),
})
const drop = (route: WritableRoute): Omit<Request, 'op'> => ({
  type: RTM_DELROUTE,
  body: routeBody(RTM_DELROUTE, route),
})

test.each<[string, Omit<Request, 'op'>]>([
  ['ip link add kube-ipvs0 up type dummy', dummyRequest('kube-ipvs0')],
  ['ip addr add 10.96.0.1/32 dev br0', addition(ip('10.96.0.1'), br0)],
  ['ip addr add fd00:96::1/128 dev br0 nodad noprefixroute', addition(ip('fd00:96::1'), br0)],
  ['ip addr del 10.96.0.1/32 dev br0', removal(ip('10.96.0.1'), br0)],
  [
    'ip route replace 198.51.100.0/24 via 192.0.2.9 dev br0 table 1000 proto static',
    put(entry('unicast', '198.51.100.0/24', { index: 2, gateway: ip('192.0.2.9') })),
  ],
  [
    'ip route replace local 10.96.0.1/32 dev lo table 1000 proto static',
    put(entry('local', '10.96.0.1/32', { index: 1 })),
  ],
  [
    'ip -6 route replace blackhole 2001:db8:3::/64 table 1000 metric 9 proto static',
    put(entry('blackhole', '2001:db8:3::/64', { metric: 9 })),
  ],
  ['ip route del unicast 198.51.100.0/24 table 1000', drop(entry('unicast', '198.51.100.0/24'))],
])('%s', (command, request) => {
  expect(captured(command).map(essence)).toEqual([essence(encode(request))])
})

/** What `read` makes of all messages of these types. */
const readAll = <T>(
  datagrams: readonly Uint8Array[],
  types: readonly number[],
  read: (message: MessageReader) => T | undefined,
): readonly T[] =>
  datagrams.flatMap((datagram) => {
    const found: T[] = []
    for (const messages = new MessageReader(datagram); messages.next(); ) {
      const value = types.includes(messages.type) ? read(messages) : undefined
      if (value !== undefined) found.push(value)
    }
    return found
  })

describe('what the kernel answers', () => {
  test('about links', () => {
    expect(readAll(captured('ip -j link show'), [RTM_NEWLINK], readLink)).toEqual([
      { name: 'lo', index: 1, kind: undefined, up: true },
      { name: 'br0', index: 2, kind: 'bridge', up: true },
    ])
  })

  test('about addresses', () => {
    const found = readAll(captured('ip -j addr show'), [RTM_NEWADDR], readAddress)
    const text = found.map(({ ip, index, family, scope, loopback }) => [ip, index, family, scope, loopback].join(' '))
    expect(text).toEqual([
      '127.0.0.1 1 IPv4 host true',
      '192.0.2.1 2 IPv4 global false',
      '::1 1 IPv6 host true',
      'fd00:96::1 2 IPv6 global false',
      '2001:db8::1 2 IPv6 global false',
    ])
  })

  test('about routes', () => {
    expect(readAll(captured('ip -j -4 route show table 1000'), [RTM_NEWROUTE], readRoute)).toEqual([
      entry('local', '10.96.0.1/32', { index: 1 }),
    ])
    expect(readAll(captured('ip -j -6 route show table 1000'), [RTM_NEWROUTE], readRoute)).toEqual([
      entry('blackhole', '2001:db8:3::/64', { metric: 9 }),
    ])
  })

  test.each(['ip -j link show', 'ip -j addr show', 'ip -j -4 route show table 1000', 'ip -j -6 route show table 1000'])(
    'to %s is refused when it is cut off anywhere',
    (command) => {
      for (const datagram of captured(command)) {
        const ends = new Set<number>([0])
        for (const messages = new MessageReader(datagram); messages.next(); ) ends.add(messages.end)
        for (let length = 0; length < datagram.length; length++) {
          const cut = datagram.slice(0, length)
          if (ends.has(length)) decodeOrRefuse(cut)
          else expect(decodeOrRefuse(cut)).toBe('refused')
        }
      }
    },
  )

  test('is never taken for more than it is, whatever its bytes', () => {
    const datagrams = golden.captures.flatMap(({ messages }) => messages.map(({ hex }) => Buffer.from(hex, 'hex')))
    fc.assert(
      fc.property(fc.constantFrom(...datagrams), fc.nat(), fc.nat(255), (datagram, at, byte) => {
        const bytes = Uint8Array.from(datagram)
        bytes[at % bytes.length] = byte
        decodeOrRefuse(bytes)
      }),
      { numRuns: 2_000 },
    )
  })
})

/** Throws anything but the one error of the layer. */
const decodeOrRefuse = (datagram: Uint8Array): unknown => {
  try {
    return [
      readAll([datagram], [RTM_NEWLINK], readLink),
      readAll([datagram], [RTM_NEWADDR], readAddress),
      readAll([datagram], [RTM_NEWROUTE], readRoute),
    ]
  } catch (error) {
    if (error instanceof KernelError && error.code === 'malformed') return 'refused'
    throw error
  }
}

const address = (family: Family): fc.Arbitrary<IP> => {
  const length = addressBytes(family)
  return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => readIP(family, bytes, 0))
}
const number = fc.integer({ min: 1, max: 0xffffffff })

describe.each(families)('%s', (family) => {
  const bits = 8 * addressBytes(family)

  test('a route that is written is read', () => {
    const route = fc
      .record({
        kind: fc.constantFrom('unicast', 'local', 'blackhole', 'unreachable'),
        destination: fc.tuple(address(family), fc.nat(bits)).map(([ip, length]) => cidrOf(ip, length)),
        table: number,
        metric: fc.oneof(fc.constant(0), number),
        index: fc.option(fc.integer({ min: 1, max: 0x7fffffff }), { nil: undefined }),
        gateway: fc.option(address(family), { nil: undefined }),
      })
      .map(
        (each): RouteEntry =>
          each.kind === 'unicast' || each.kind === 'local' ? each : { ...each, index: undefined, gateway: undefined },
      )
    fc.assert(
      fc.property(route, (each) => {
        if (!isWritable(each)) throw new Error(each.kind)
        expect(readAll([encode(put(each))], [RTM_NEWROUTE], readRoute)).toEqual([each])
      }),
    )
  })

  test('an address that is written is read', () => {
    fc.assert(
      fc.property(address(family), fc.integer({ min: 1, max: 0x7fffffff }), (each, index) => {
        const [read, ...more] = readAll([encode(addition(each, { ...br0, index }))], [RTM_NEWADDR], readAddress)
        expect(read).toMatchObject({ ip: each, family, index, scope: 'global' })
        expect(more).toEqual([])
      }),
    )
  })
})

describe('what is not about an interface', () => {
  const link = (family: number): Uint8Array =>
    encode({
      type: RTM_NEWLINK,
      body: (writer) => {
        const at = writer.reserve(16)
        writer.view.setUint8(at, family)
        writer.string(3, 'eth0')
      },
    })

  test('is not read as one, such as the news of a bridge about its port', () => {
    const AF_BRIDGE = 7
    expect(readAll([link(0)], [RTM_NEWLINK], readLink)).toHaveLength(1)
    expect(readAll([link(AF_BRIDGE)], [RTM_NEWLINK], readLink)).toEqual([])
  })
})
