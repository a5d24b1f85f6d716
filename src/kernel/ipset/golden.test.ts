/** What we send is what ipset sends, and what the kernel answers it we read: captures of ipset 7.17 in test/golden. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { answersIn, answerTo, type Captured, QueuedTransport } from '../../../test/support/queued-transport.ts'
import { parseCidr } from '../../model/cidr.ts'
import { type Family, type IP, parseIP } from '../../model/ip.ts'
import { type Port, parsePort } from '../../model/port.ts'
import { MessageReader } from '../netlink/wire.ts'
import { readHeader, readMembers } from './answers.ts'
import type { SetSpec, SetType } from './ipset.ts'
import { ipMember, ipPort, ipPortIp, ipPortMark, ipPortNet, type Member, portMember, withoutMark } from './member.ts'
import { NetlinkIpset } from './netlink-ipset.ts'

const { signal } = new AbortController()

interface Message extends Captured {
  readonly msg: string
}
const capture = (name: string): readonly Message[] =>
  JSON.parse(readFileSync(new URL(`../../../test/golden/netlink/${name}.golden.json`, import.meta.url), 'utf8'))
    .messages

type Tree = readonly [type: number, value: string | readonly Tree[]]

const nested = 0x8000
/** What the tool counts in lines of its input, we count in members. */
const lineNumber = 0x4009

/** Attributes by type, whose order means nothing, without what is behind their ends: ipset leaves remains there. */
const tree = (bytes: Uint8Array): readonly Tree[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const out: Tree[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint16(at, true)
    const type = view.getUint16(at + 2, true)
    const value = bytes.subarray(at + 4, at + length)
    if (type === lineNumber) out.push([type, 'line'])
    else out.push([type, type & nested ? tree(value) : Buffer.from(value).toString('hex')])
    at += (length + 3) & ~3
  }
  return out.sort(([a], [b]) => a - b)
}

const IPSET_CMD_DESTROY = 0x603
const IPSET_CMD_LIST = 0x607
const IPSET_CMD_TYPE = 0x60d
const NLM_F_ACK = 0x4
const NLM_F_EXCL = 0x200

/** What the tool sets and nothing looks at: an ACK behind a dump, and EXCL where there is nothing to create. */
const idleFlags: ReadonlyMap<number, number> = new Map([
  [IPSET_CMD_LIST, NLM_F_ACK],
  [IPSET_CMD_DESTROY, NLM_F_EXCL],
])

/** What two requests have in common that ask for the same. The tool asks for types as IPv4 only. */
const essence = (request: Uint8Array): string => {
  const view = new DataView(request.buffer, request.byteOffset, request.length)
  const type = view.getUint16(4, true)
  const settled = view.getUint16(6, true) & ~(idleFlags.get(type) ?? 0)
  const attributes = tree(request.subarray(20)).filter(([attribute]) => type !== IPSET_CMD_TYPE || attribute !== 5)
  return JSON.stringify([type, settled, request[16], attributes])
}

/** Answers as the kernel did in `messages`, and only what was asked there. */
class Replay extends QueuedTransport {
  readonly unasked: Set<string>
  readonly #answers: ReadonlyMap<string, readonly string[]>

  constructor(messages: readonly Captured[]) {
    super()
    this.#answers = answersIn(messages, essence)
    this.unasked = new Set(this.#answers.keys())
  }

  send(bytes: Uint8Array): void {
    const key = essence(bytes)
    const answers = this.#answers.get(key)
    if (answers === undefined) expect([...this.unasked]).toContain(key)
    this.unasked.delete(key)
    this.waiting = (answers ?? []).map((hex) => answerTo(bytes, hex))
  }
}

const ip = (text: string): IP => parseIP(text) ?? fail(text)
const port = (value: number): Port => parsePort(value) ?? fail(value)
const cidr = (text: string) => parseCidr(text) ?? fail(text)
const fail = (what: unknown): never => {
  throw new Error(String(what))
}

const spec = (name: string, type: SetType, family: Family, maxElements: number): SetSpec => ({
  name,
  type,
  family,
  maxElements,
})

const sets = {
  r4: spec('r4', 'hash:ip,port', 'IPv4', 1000),
  r6: spec('r6', 'hash:ip,port', 'IPv6', 1000),
  i4: spec('i4', 'hash:ip,port,ip', 'IPv4', 64),
  i6: spec('i6', 'hash:ip,port,ip', 'IPv6', 64),
  n4: spec('n4', 'hash:ip,port,net', 'IPv4', 64),
  n6: spec('n6', 'hash:ip,port,net', 'IPv6', 64),
  p: spec('p', 'bitmap:port', 'IPv4', 0),
  q: spec('q', 'bitmap:port', 'IPv6', 0),
}

const exception = '203.0.113.5,tcp:80,198.51.100.128/25 nomatch' as Member
const single = ipPortNet(ip('203.0.113.5'), 'TCP', port(80), cidr('192.0.2.1/32'))

const members: Readonly<Record<Exclude<keyof typeof sets, 'q'>, readonly Member[]>> = {
  r4: [
    ipPort(ip('10.96.0.1'), 'TCP', port(80)),
    ipPort(ip('10.96.0.2'), 'UDP', port(53)),
    ipPort(ip('10.96.0.3'), 'SCTP', port(9999)),
  ],
  r6: [ipPort(ip('fd00:96::1'), 'TCP', port(80)), ipPort(ip('fd00:96::2'), 'UDP', port(53))],
  i4: [
    ipPortIp(ip('10.244.0.1'), 'TCP', port(8080), ip('10.244.0.1')),
    ipPortIp(ip('10.244.0.2'), 'UDP', port(53), ip('10.244.0.2')),
  ],
  i6: [
    ipPortIp(ip('fd00:244::1'), 'TCP', port(8080), ip('fd00:244::1')),
    ipPortIp(ip('fd00:244::2'), 'UDP', port(53), ip('fd00:244::2')),
  ],
  n4: [ipPortNet(ip('203.0.113.5'), 'TCP', port(80), cidr('198.51.100.0/24')), single, exception],
  n6: [
    ipPortNet(ip('2001:db8::1'), 'SCTP', port(99), cidr('2001:db8:1::/64')),
    ipPortNet(ip('2001:db8::1'), 'SCTP', port(99), cidr('2001:db8:2::1/128')),
  ],
  p: [portMember(port(30080)), portMember(port(30443))],
}
const names = ['r4', 'r6', 'i4', 'i6', 'n4', 'n6', 'p'] as const

describe('as ipset 7.17', () => {
  test('creates, adds, removes, swaps and destroys', async () => {
    const kernel = new Replay(capture('ipset-restore'))
    const ipset = new NetlinkIpset({ open: () => kernel })
    for (const set of Object.values(sets)) await ipset.create(set, signal)
    for (const name of names) await ipset.add(sets[name], members[name], signal)
    await ipset.remove(sets.n4, [single], signal)
    await ipset.swap('p', 'q', signal)
    await ipset.destroy('q', signal)
    expect([...kernel.unasked]).toEqual([])
  })

  test('lists', async () => {
    const kernel = new Replay(capture('ipset-list'))
    const ipset = new NetlinkIpset({ open: () => kernel })
    for (const name of names) {
      const expected = members[name].filter((member) => member !== single)
      expect((await ipset.members(sets[name], signal)).toSorted()).toEqual(expected.toSorted())
    }
    const counts = { entries: 2, references: 0 }
    const hash = ({ name, type, family, maxElements }: SetSpec) => ({
      ...{ name, type, family, maxElements, options: [] },
      ...counts,
    })
    const ports = { type: 'bitmap:port', family: undefined, maxElements: undefined, options: [] }
    expect(await ipset.list(signal)).toEqual([
      { ...hash(sets.r4), entries: 3, references: 1 },
      ...[sets.r6, sets.i4, sets.i6, sets.n4, sets.n6].map(hash),
      { name: 'p', ...ports, ...counts },
      { name: 'q', ...ports, ...counts, entries: 0 },
      { name: 'five', ...ports, ...counts, options: ['range'], entries: 0 },
      {
        name: 'mixed',
        type: 'list:set',
        family: undefined,
        maxElements: undefined,
        options: [],
        ...counts,
        entries: 1,
      },
    ])
  })

  describe('sets with marks and of plain addresses', () => {
    const m4: SetSpec = { ...spec('m4', 'hash:ip,port', 'IPv4', 1000), marks: true }
    const m6: SetSpec = { ...spec('m6', 'hash:ip,port', 'IPv6', 1000), marks: true }
    const a4 = spec('a4', 'hash:ip', 'IPv4', 1000)
    const a6 = spec('a6', 'hash:ip', 'IPv6', 1000)
    const b6 = { ...a6, name: 'b6' }
    const left = [
      ipPortMark(ip('10.96.0.1'), 'TCP', port(80), 0x4001),
      ipPortMark(ip('10.96.0.2'), 'UDP', port(53), 0x80000000),
      ipPort(ip('10.96.0.4'), 'TCP', port(80)),
    ] as const
    const partly = '10.96.0.3,sctp:99 skbmark 0x1/0xff' as Member
    const six = ipPortMark(ip('fd00:96::1'), 'TCP', port(80), 0xffffffff)

    test('are made and filled', async () => {
      const kernel = new Replay(capture('ipset-marks'))
      const ipset = new NetlinkIpset({ open: () => kernel })
      for (const set of [m4, m6, a4, a6]) await ipset.create(set, signal)
      await ipset.add(m4, [left[0], left[1], partly, left[2]], signal)
      await ipset.add(m6, [six], signal)
      await ipset.add(a4, [ipMember(ip('10.96.0.1'))], signal)
      await ipset.add(a6, [ipMember(ip('fd00:96::1'))], signal)
      await ipset.rename('a6', 'b6', signal)
      await ipset.remove(m4, [ipPort(ip('10.96.0.3'), 'SCTP', port(99))], signal)
      expect([...kernel.unasked]).toEqual([])
    })

    test('are listed', async () => {
      const kernel = new Replay(capture('ipset-marks-list'))
      const ipset = new NetlinkIpset({ open: () => kernel })
      expect((await ipset.members(m4, signal)).toSorted()).toEqual(left)
      expect(await ipset.members(m6, signal)).toEqual([six])
      expect(await ipset.members(a4, signal)).toEqual(['10.96.0.1'])
      expect(await ipset.members(b6, signal)).toEqual(['fd00:96::1'])
      const { marks: _, ...blind } = m4
      expect((await ipset.members(blind, signal)).toSorted()).toEqual(left.map(withoutMark))
      const headers = await ipset.list(signal)
      expect(headers.map(({ name, options }) => [name, options])).toEqual([
        ['m4', ['skbinfo']],
        ['m6', ['skbinfo']],
        ['a4', []],
        ['b6', []],
      ])
    })
  })

  test('says which member did not fit', async () => {
    const ipset = new NetlinkIpset({ open: () => new Replay(capture('ipset-full')) })
    const four = [1, 2, 3, 4].map((n) => ipPort(ip(`10.0.0.${n}`), 'TCP', port(1)))
    const tiny = spec('tiny', 'hash:ip,port', 'IPv4', 2)
    await expect(ipset.add(tiny, four, signal)).rejects.toMatchObject({
      name: 'IpsetError',
      code: 'full',
      op: 'add tiny',
      member: '10.0.0.3,tcp:1',
      message: 'add tiny: 10.0.0.3,tcp:1: the set is full (IPSET_ERR_HASH_FULL)',
      cause: { name: 'KernelError', errno: 4352 },
    })
  })
})

test.each(['ipset-list', 'ipset-marks-list'])('an answer of %s is refused when it is cut off anywhere', (name) => {
  const shape = { type: 'hash:ip,port', family: 'IPv4', marks: true } as const
  const answers = capture(name).filter(({ dir, msg }) => dir === 'recv' && msg === 'IPSET_CMD_LIST')
  for (const { hex } of answers) {
    const whole = Buffer.from(hex, 'hex')
    for (let length = 1; length < whole.length; length++)
      expect(() => {
        const messages = new MessageReader(whole.subarray(0, length))
        while (messages.next()) {
          readHeader(messages)
          readMembers(
            messages,
            shape,
            () => {},
            () => {},
          )
        }
      }).toThrow(expect.objectContaining({ code: 'malformed' }))
  }
})
