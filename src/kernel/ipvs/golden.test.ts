/** What we send is what ipvsadm sends, and what the kernel answers it we read: captures of ipvsadm 1.31 in test/golden. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ip } from '../../../test/support/lvs.ts'
import { answersIn, answerTo, type Captured, QueuedTransport } from '../../../test/support/queued-transport.ts'
import { Writer } from '../netlink/wire.ts'
import type { IpvsChange, RealServer, VirtualServer, VirtualServerId } from './ipvs.ts'
import { realServerLine, virtualServerLine } from './names.ts'
import { NetlinkIpvs } from './netlink-ipvs.ts'

const { signal } = new AbortController()

const capturesSchema = z.object({
  captures: z.array(
    z.object({
      command: z.string(),
      messages: z.array(z.object({ dir: z.enum(['send', 'recv']), hex: z.string() })),
    }),
  ),
})
const url = new URL('../../../test/golden/netlink/ipvsadm.golden.json', import.meta.url)
const { captures } = capturesSchema.parse(JSON.parse(readFileSync(url, 'utf8')))

const messagesOf = (command: string) => {
  const found = captures.find((capture) => capture.command === `ipvsadm ${command}`)
  if (found === undefined) throw new Error(`no capture of ${command}`)
  return found.messages
}

const GENL_ID_CTRL = 16
const headerLength = 16

const payload = (message: Uint8Array): string => Buffer.from(message.subarray(headerLength)).toString('hex')
/** Type and flags, then everything behind the header. */
const essence = (message: Uint8Array): string => Buffer.from(message.subarray(4, 8)).toString('hex') + payload(message)

/** What the kernel answered in `messages`, to whoever asks the same. */
class Replay extends QueuedTransport {
  readonly sent: Uint8Array[] = []
  readonly #answers: ReadonlyMap<string, readonly string[]>
  readonly #fallback: readonly string[]

  constructor(messages: readonly Captured[]) {
    super()
    this.#answers = answersIn(messages, payload)
    this.#fallback = [...this.#answers.values()][0] ?? []
  }

  send(bytes: Uint8Array): void {
    const request = Buffer.from(bytes)
    if (request.readUInt16LE(4) === GENL_ID_CTRL) {
      this.waiting = [familyAnswer(request.readUInt32LE(8))]
      return
    }
    this.sent.push(request)
    const answers = this.#answers.get(payload(request)) ?? this.#fallback
    this.waiting = answers.map((hex) => answerTo(request, hex))
  }
}

/** CTRL_CMD_NEWFAMILY: IPVS has number 32. */
const familyAnswer = (sequence: number): Uint8Array => {
  const writer = new Writer()
  const message = writer.message(GENL_ID_CTRL, 0, sequence)
  writer.bytes.set([1, 2, 0, 0], writer.reserve(4))
  writer.string(2, 'IPVS')
  writer.u16host(1, 32)
  writer.u32host(3, 1)
  writer.endMessage(message)
  return writer.finish()
}

const at = (protocol: 'TCP' | 'UDP', address: string, port: number): VirtualServerId => ({
  kind: 'address',
  protocol,
  ip: ip(address),
  port,
})
const virtual = (id: VirtualServerId, more: Partial<VirtualServer>): VirtualServer => ({
  ...{ id, scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix: 32 },
  ...more,
})
const real = (address: string, port: number, more: Partial<RealServer>): RealServer => ({
  ...{ ip: ip(address), port, forwarding: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0 },
  ...more,
})

/** Sends one change and returns what of it went out, and what ipvsadm had sent. */
const sending = async (command: string, change: IpvsChange): Promise<readonly [ours: Buffer, theirs: Buffer]> => {
  const messages = messagesOf(command)
  const replay = new Replay(messages)
  expect(await new NetlinkIpvs({ open: () => replay }).apply([change], signal)).toEqual([])
  expect(replay.sent).toHaveLength(1)
  return [Buffer.from(replay.sent[0] ?? []), Buffer.from(messages[0]?.hex ?? '', 'hex')]
}

describe('virtual servers, to the byte', () => {
  const https = at('TCP', '10.96.0.1', 443)
  const add = (id: VirtualServerId, more: Partial<VirtualServer>): IpvsChange => ({
    kind: 'addVirtualServer',
    server: virtual(id, more),
  })
  test.each<[command: string, change: IpvsChange]>([
    ['-A -t 10.96.0.1:443 -s wrr', add(https, { scheduler: 'wrr' })],
    [
      '-A -u 10.96.0.1:53 -s sh -b sh-port,sh-fallback',
      add(at('UDP', '10.96.0.1', 53), { scheduler: 'sh', flags: ['sched1', 'sched2'] }),
    ],
    ['-A -u 10.96.0.10:53 -s rr -o', add(at('UDP', '10.96.0.10', 53), { flags: ['onePacket'] })],
    [
      '-A -t 10.96.0.2:80 -s mh -b mh-port -p 600 -M 255.255.255.0',
      add(at('TCP', '10.96.0.2', 80), {
        ...{ scheduler: 'mh', flags: ['persistent', 'sched2'], persistenceSeconds: 600, persistencePrefix: 24 },
      }),
    ],
    ['-E -t 10.96.0.1:443 -s lc', { kind: 'setVirtualServer', server: virtual(https, { scheduler: 'lc' }) }],
    [
      '-A -t [fd00::10]:80 -s rr -p 300 -M 64',
      add(at('TCP', 'fd00::10', 80), { flags: ['persistent'], persistenceSeconds: 300, persistencePrefix: 64 }),
    ],
    ['-A -f 7 -s rr', add({ kind: 'mark', family: 'IPv4', mark: 7 }, {})],
    ['-A -f 7 -6 -s rr', add({ kind: 'mark', family: 'IPv6', mark: 7 }, { persistencePrefix: 128 })],
  ])('%s', async (command, change) => {
    const [ours, theirs] = await sending(command, change)
    expect(essence(ours)).toBe(essence(theirs))
  })
})

describe('real servers and deletions, but for what the kernel does not look at', () => {
  type Attributes = ReadonlyMap<number, string | Attributes>
  const attributesOf = (bytes: Buffer): Attributes => {
    const found = new Map<number, string | Attributes>()
    for (let from = 0; from < bytes.length; from += (bytes.readUInt16LE(from) + 3) & ~3) {
      const value = bytes.subarray(from + 4, from + bytes.readUInt16LE(from))
      const type = bytes.readUInt16LE(from + 2)
      found.set(type & 0x3fff, type & 0x8000 ? attributesOf(value) : value.toString('hex'))
    }
    return found
  }
  /** Paths of what is only in theirs; fails where both differ. */
  const surplus = (ours: Attributes, theirs: Attributes, path = ''): readonly string[] => {
    for (const type of ours.keys()) expect([...theirs.keys()]).toContain(type)
    return [...theirs].flatMap(([type, value]) => {
      const own = ours.get(type)
      if (own === undefined) return [`${path}${type}`]
      if (typeof own !== 'string' && typeof value !== 'string') return surplus(own, value, `${path}${type}.`)
      expect(own, `${path}${type}`).toBe(value)
      return []
    })
  }
  const https = at('TCP', '10.96.0.1', 443)
  const web6 = at('TCP', 'fd00::10', 80)
  /** Scheduler, flags, timeout and netmask of the virtual server; type, port and flags of a tunnel. */
  const service = ['1.6', '1.7', '1.8', '1.9']
  const tunnel = ['2.13', '2.14', '2.15']
  /** Forwarding, weight, thresholds. */
  const load = ['2.3', '2.4', '2.5', '2.6']

  test.each<[command: string, change: IpvsChange, more: readonly string[]]>([
    [
      '-a -t 10.96.0.1:443 -r 10.2.0.1:6443 -m -w 5',
      { kind: 'addRealServer', id: https, server: real('10.2.0.1', 6443, { weight: 5 }) },
      [...service, ...tunnel],
    ],
    [
      '-a -t 10.96.0.1:443 -r 10.2.0.2:6443 -m -w 1 -x 10 -y 5',
      {
        kind: 'addRealServer',
        id: https,
        server: real('10.2.0.2', 6443, { upperThreshold: 10, lowerThreshold: 5 }),
      },
      [...service, ...tunnel],
    ],
    [
      '-a -t [fd00::10]:80 -r [fd00::20]:8080 -g -w 2',
      // ipvsadm sends the port of the virtual server instead, where packets are not translated.
      { kind: 'addRealServer', id: web6, server: real('fd00::20', 80, { forwarding: 'direct', weight: 2 }) },
      [...service, ...tunnel],
    ],
    [
      '-e -t 10.96.0.1:443 -r 10.2.0.1:6443 -m -w 0',
      { kind: 'setRealServer', id: https, server: real('10.2.0.1', 6443, { weight: 0 }) },
      [...service, ...tunnel],
    ],
    [
      '-d -t 10.96.0.1:443 -r 10.2.0.1:6443',
      { kind: 'deleteRealServer', id: https, server: { ip: ip('10.2.0.1'), port: 6443 } },
      [...service, ...load, ...tunnel],
    ],
    ['-D -t 10.96.0.2:80', { kind: 'deleteVirtualServer', id: at('TCP', '10.96.0.2', 80) }, service],
  ])('%s', async (command, change, more) => {
    const [ours, theirs] = await sending(command, change)
    expect(ours.subarray(16, 20).toString('hex')).toBe(theirs.subarray(16, 20).toString('hex'))
    expect([...surplus(attributesOf(ours.subarray(20)), attributesOf(theirs.subarray(20)))].sort()).toEqual(
      [...more].sort(),
    )
  })
})

describe('answers', () => {
  test('a whole table, asked for as ipvsadm asks', async () => {
    const replay = new Replay(messagesOf('-Ln'))
    const ipvs = new NetlinkIpvs({ open: () => replay })
    const servers = await ipvs.virtualServers(signal)
    const lines: string[] = []
    for (const server of servers) {
      lines.push(virtualServerLine(server))
      for (const found of await ipvs.realServers(server.id, signal)) lines.push(realServerLine(server.id, found))
    }
    expect(lines.sort()).toEqual([
      '-A -f 7 -6 -s rr',
      '-A -f 7 -s rr',
      '-A -t 10.96.0.1:443 -s lc',
      '-A -t 10.96.0.2:80 -s mh -p 600 -M 255.255.255.0 -b mh-port',
      '-A -t [fd00::10]:80 -s rr -p 300 -M 64',
      '-A -u 10.96.0.10:53 -s rr -o',
      '-A -u 10.96.0.1:53 -s sh -b sh-fallback,sh-port',
      '-a -t 10.96.0.1:443 -r 10.2.0.1:6443 -m -w 0',
      '-a -t 10.96.0.1:443 -r 10.2.0.2:6443 -m -w 1 -x 10 -y 5',
      '-a -t [fd00::10]:80 -r [fd00::20]:80 -g -w 2',
    ])
    const asked = messagesOf('-Ln').flatMap(({ dir, hex }) =>
      dir === 'send' ? [payload(Buffer.from(hex, 'hex'))] : [],
    )
    expect(asked).toEqual(expect.arrayContaining(replay.sent.map(payload)))
    expect(replay.sent).toHaveLength(1 + servers.length)
  })

  test('timeouts', async () => {
    const shown = new Replay(messagesOf('-L --timeout'))
    const timeouts = { tcp: 900, tcpFin: 120, udp: 300 }
    expect(await new NetlinkIpvs({ open: () => shown }).timeouts(signal)).toEqual(timeouts)
    const set = new Replay(messagesOf('--set 900 120 300'))
    await new NetlinkIpvs({ open: () => set }).setTimeouts(timeouts, signal)
    expect(set.sent.map(essence)).toEqual([essence(Buffer.from(messagesOf('--set 900 120 300')[0]?.hex ?? '', 'hex'))])
  })
})
