import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ip } from '../../../test/support/lvs.ts'
import { maxBits } from '../../model/cidr.ts'
import { type Family, type IP, readIP } from '../../model/ip.ts'
import { KernelError } from '../netlink/error.ts'
import { MessageReader, Reader, Writer } from '../netlink/wire.ts'
import {
  IPVS_CMD_ATTR_DEST,
  IPVS_CMD_ATTR_SERVICE,
  IPVS_DEST_ATTR_ACTIVE_CONNS,
  IPVS_DEST_ATTR_ADDR_FAMILY,
  IPVS_DEST_ATTR_INACT_CONNS,
  IPVS_DEST_ATTR_PERSIST_CONNS,
  IPVS_STATS_ATTR_CONNS,
  IPVS_STATS_ATTR_INBYTES,
  IPVS_STATS_ATTR_INPKTS,
  IPVS_STATS_ATTR_OUTBYTES,
  IPVS_STATS_ATTR_OUTPKTS,
  IPVS_SVC_ATTR_NETMASK,
} from './constants.ts'
import {
  type Forwarding,
  familyOfServer,
  type IpvsCounters,
  type ObservedRealServer,
  type VirtualServer,
  type VirtualServerId,
  virtualServerFlags,
} from './ipvs.ts'
import { readRealServer, writeRealServer } from './server-wire.ts'
import { readVirtualServer, writeVirtualServer } from './service-wire.ts'

const headerLength = 16
const STATS = 10
const STATS64 = 12
const unknown = 99

const family = fc.constantFrom<Family>('IPv4', 'IPv6')
const ipOf = (of: Family): fc.Arbitrary<IP> => {
  const length = of === 'IPv4' ? 4 : 16
  return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => readIP(of, bytes, 0))
}
const u16 = fc.nat(0xffff)
const u31 = fc.nat(2 ** 31 - 1)
const u32 = fc.nat(2 ** 32 - 1)
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)

const countersOf = (packets: fc.Arbitrary<bigint>): fc.Arbitrary<IpvsCounters> =>
  fc.record({ connections: packets, packetsIn: packets, packetsOut: packets, bytesIn: u64, bytesOut: u64 })
/** What fits into the counters of old kernels, and what does not. */
const counters = fc.oneof(countersOf(u32.map(BigInt)), countersOf(u64))
const isSmall = ({ connections, packetsIn, packetsOut }: IpvsCounters): boolean =>
  [connections, packetsIn, packetsOut].every((count) => count < 2n ** 32n)

const idOf = (of: Family): fc.Arbitrary<VirtualServerId> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('address' as const),
      protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const),
      ip: ipOf(of),
      port: u16,
    }),
    fc.record({ kind: fc.constant('mark' as const), family: fc.constant(of), mark: u32.filter((mark) => mark !== 0) }),
  )

const virtualServer: fc.Arbitrary<VirtualServer> = family.chain((of) =>
  fc.record({
    id: idOf(of),
    scheduler: fc.stringMatching(/^[a-z]{1,15}$/),
    flags: fc.subarray([...virtualServerFlags]),
    persistenceSeconds: u32,
    persistencePrefix: fc.nat(maxBits(of)),
  }),
)

const realServer: fc.Arbitrary<Omit<ObservedRealServer, 'counters'>> = family.chain((of) =>
  fc.record({
    ip: ipOf(of),
    port: u16,
    forwarding: fc.constantFrom<Forwarding>('masquerade', 'direct', 'tunnel', 'local', 'bypass'),
    weight: u31,
    upperThreshold: u31,
    lowerThreshold: u31,
    active: u32,
    inactive: u32,
    persistent: u32,
  }),
)

/** As the kernel writes them: first those of 32 bits, cut off where they do not fit. `old`: without those of 64. */
const writeCounters = (writer: Writer, found: IpvsCounters, old: boolean): void => {
  const containers = old ? [STATS] : [STATS, STATS64]
  for (const container of containers) {
    const nest = writer.nest(container)
    const write = (type: number, value: bigint, bits: 32 | 64): void => {
      const at = writer.attribute(type, bits / 8)
      const part = BigInt.asUintN(bits, value)
      if (bits === 64) writer.view.setBigUint64(at, part, true)
      else writer.view.setUint32(at, Number(part), true)
    }
    const bits = container === STATS ? 32 : 64
    write(IPVS_STATS_ATTR_CONNS, found.connections, bits)
    write(IPVS_STATS_ATTR_INPKTS, found.packetsIn, bits)
    write(IPVS_STATS_ATTR_OUTPKTS, found.packetsOut, bits)
    write(IPVS_STATS_ATTR_INBYTES, found.bytesIn, 64)
    write(IPVS_STATS_ATTR_OUTBYTES, found.bytesOut, 64)
    writer.u32host(6, 12345)
    writer.endNest(nest)
  }
}

/** A message as the kernel answers: what we write, and behind it what only the kernel knows. */
const answer = (write: (writer: Writer) => void, container: number, more: (writer: Writer) => void): Uint8Array => {
  const writer = new Writer()
  const message = writer.message(32, 0, 1)
  const nest = writer.length
  write(writer)
  more(writer)
  writer.u32host(unknown, 0xffff_ffff)
  writer.endNest(nest)
  expect(writer.view.getUint16(nest + 2, true) & 0x3fff).toBe(container)
  writer.endMessage(message)
  return writer.finish()
}

const serverAnswer = (server: VirtualServer, found: IpvsCounters, old: boolean): Uint8Array =>
  answer(
    (writer) => writeVirtualServer(writer, server),
    IPVS_CMD_ATTR_SERVICE,
    (writer) => writeCounters(writer, found, old),
  )

const realAnswer = ({ counters: found, ...server }: ObservedRealServer, old: boolean): Uint8Array =>
  answer(
    (writer) => writeRealServer(writer, server),
    IPVS_CMD_ATTR_DEST,
    (writer) => {
      writer.u32host(IPVS_DEST_ATTR_ACTIVE_CONNS, server.active)
      writer.u32host(IPVS_DEST_ATTR_INACT_CONNS, server.inactive)
      writer.u32host(IPVS_DEST_ATTR_PERSIST_CONNS, server.persistent)
      writeCounters(writer, found, old)
    },
  )

const attributes = (message: Uint8Array): Reader => {
  const messages = new MessageReader(message)
  messages.next()
  return messages.attributes(0)
}

const codeOf = (run: () => unknown): string => {
  try {
    return `value ${JSON.stringify(run(), (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
}

/** Every shorter message, its header telling the shorter length. */
const truncations = (message: Uint8Array): readonly Uint8Array[] =>
  Array.from({ length: message.length - headerLength }, (_, i) => {
    const cut = message.slice(0, headerLength + i)
    new DataView(cut.buffer).setUint32(0, cut.length, true)
    return cut
  })

/** The same message once for each attribute within its one container, without that attribute. */
const withoutEach = (message: Uint8Array): readonly (readonly [type: number, message: Uint8Array])[] => {
  const from = headerLength + 4
  const reader = new Reader(message, from)
  const found: [number, Uint8Array][] = []
  while (reader.next()) {
    const end = (reader.end + 3) & ~3
    const rest = Buffer.concat([message.subarray(0, reader.start - 4), message.subarray(end)])
    rest.writeUInt32LE(rest.length, 0)
    rest.writeUInt16LE(rest.length - headerLength, headerLength)
    found.push([reader.type, rest])
  }
  return found
}

describe('virtual servers', () => {
  test('are read back as they were written', () => {
    fc.assert(
      fc.property(virtualServer, counters, fc.boolean(), (server, found, old) => {
        fc.pre(!old || isSmall(found))
        expect(readVirtualServer(attributes(serverAnswer(server, found, old)))).toEqual({ ...server, counters: found })
      }),
    )
  })

  test('every truncation is malformed', () => {
    fc.assert(
      fc.property(virtualServer, counters, (server, found) => {
        for (const cut of truncations(serverAnswer(server, found, false)))
          expect(codeOf(() => readVirtualServer(attributes(cut)))).toBe('malformed')
      }),
      { numRuns: 20 },
    )
  })

  test('and so is one that lacks what identifies it or how it is', () => {
    fc.assert(
      fc.property(virtualServer, counters, (server, found) => {
        for (const [type, rest] of withoutEach(serverAnswer(server, found, true))) {
          const expected = type === unknown ? /^value/ : /^malformed$/
          expect(
            codeOf(() => readVirtualServer(attributes(rest))),
            `attribute ${type}`,
          ).toMatch(expected)
        }
      }),
      { numRuns: 20 },
    )
  })

  test('of another protocol are passed over', () => {
    const id: VirtualServerId = { kind: 'address', protocol: 'SCTP', ip: ip('10.0.0.1'), port: 80 }
    const server = { id, scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix: 32 }
    const none = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n }
    const message = serverAnswer(server, none, false)
    const at = Buffer.from(message).indexOf(Buffer.from([6, 0, 2, 0, 132, 0])) + 4
    expect(readVirtualServer(attributes(message))).toMatchObject({ id })
    message[at] = 50
    expect(readVirtualServer(attributes(message))).toBeUndefined()
  })

  test('a mask is in network order for IPv4, a length in host order for IPv6', () => {
    const netmask = (server: VirtualServer): string => {
      const writer = new Writer()
      writeVirtualServer(writer, server)
      const reader = new Reader(writer.finish(), 4)
      while (reader.next())
        if (reader.type === IPVS_SVC_ATTR_NETMASK) return Buffer.from(reader.value()).toString('hex')
      return 'none'
    }
    const prefixed = (of: Family, persistencePrefix: number): VirtualServer => ({
      id: { kind: 'mark', family: of, mark: 1 },
      ...{ scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix },
    })
    expect([0, 1, 20, 32].map((bits) => netmask(prefixed('IPv4', bits)))).toEqual([
      ...['00000000', '80000000', 'fffff000', 'ffffffff'],
    ])
    expect([1, 64, 128].map((bits) => netmask(prefixed('IPv6', bits)))).toEqual(['01000000', '40000000', '80000000'])
  })
})

describe('real servers', () => {
  test('are read back as they were written, whatever the family of their virtual server', () => {
    fc.assert(
      fc.property(realServer, counters, fc.boolean(), family, (server, found, old, of) => {
        fc.pre(!old || isSmall(found))
        const observed = { ...server, counters: found }
        expect(readRealServer(attributes(realAnswer(observed, old)), of)).toEqual(observed)
      }),
    )
  })

  test('every truncation is malformed, and so is one that lacks something', () => {
    fc.assert(
      fc.property(realServer, counters, family, (server, found, of) => {
        const observed = { ...server, counters: found }
        for (const cut of truncations(realAnswer(observed, false)))
          expect(codeOf(() => readRealServer(attributes(cut), of))).toBe('malformed')
        for (const [type, rest] of withoutEach(realAnswer(observed, true))) {
          if (type === IPVS_DEST_ATTR_ADDR_FAMILY) continue
          const expected = type === unknown ? /^value/ : /^malformed$/
          expect(
            codeOf(() => readRealServer(attributes(rest), of)),
            `attribute ${type}`,
          ).toMatch(expected)
        }
      }),
      { numRuns: 20 },
    )
  })

  test('that do not tell their family have that of their virtual server', () => {
    fc.assert(
      fc.property(realServer, counters, (server, found) => {
        const observed = { ...server, counters: found }
        const of = familyOfServer({ kind: 'address', protocol: 'TCP', ip: server.ip, port: 1 })
        const rest = withoutEach(realAnswer(observed, false)).find(([type]) => type === IPVS_DEST_ATTR_ADDR_FAMILY)
        expect(readRealServer(attributes(rest?.[1] ?? new Uint8Array()), of)).toEqual(observed)
      }),
    )
  })

  test('a forwarding method that there is not is malformed', () => {
    const message = realAnswer(
      {
        ...{ ip: ip('10.0.0.1'), port: 1, forwarding: 'bypass', weight: 1, upperThreshold: 0, lowerThreshold: 0 },
        ...{ active: 0, inactive: 0, persistent: 0 },
        counters: { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n },
      },
      false,
    )
    const at = Buffer.from(message).indexOf(Buffer.from([8, 0, 3, 0, 4, 0, 0, 0])) + 4
    message[at] = 5
    expect(codeOf(() => readRealServer(attributes(message), 'IPv4'))).toBe('malformed')
  })
})
