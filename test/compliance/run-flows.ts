import t from 'tap'
import { assertNever } from '../../src/model/assert-never.ts'
import type { Protocol } from '../../src/model/protocol.ts'
import type { Expectation, FlowCase, FlowTable, Packet, Settings, Traits } from '../flows/flow.ts'
import { type Net, nets } from '../flows/net.ts'
import type { Host, Target } from '../support/host.ts'
import type { Outcome } from '../support/host-protocol.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { forgetConnections } from './conntrack.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

/** How long silence has to last to count as such; an answer comes within a millisecond or two. */
const silenceMs = 250
/** The patience with an answer that is expected: a busy machine must not fail a test. */
const answerMs = 10_000

export interface FlowRun {
  readonly backend: BackendUnderTest
  readonly stage: Stage
  readonly protocols: readonly Protocol[]
}

/**
 * Plays a table in both families and every protocol. A case follows on the one before, as an update of a running proxy,
 * unless its settings are others: so each table also goes through the changes from case to case.
 */
export const playTable = async (
  name: string,
  table: FlowTable,
  { backend, stage, protocols }: FlowRun,
): Promise<void> => {
  for (const net of nets) {
    for (const protocol of protocols) {
      await t.test(`${name}, ${net.family}, ${protocol}, ${backend.name}`, async (t) => {
        let settings: Settings | undefined
        for (const flow of table(net, protocol, backend.traits)) {
          const wanted = { ...defaultSettings, ...flow.settings }
          const objects = withNode(flow.objects)
          if (settings !== undefined && same(settings, wanted)) await backend.update(objects)
          else await backend.start(objects, wanted)
          settings = wanted
          await playCase(t, flow, protocol, stage, backend.traits)
        }
        await backend.stop()
        await backend.cleanup()
      })
    }
  }
}

const same = (a: Settings, b: Settings): boolean => JSON.stringify(a) === JSON.stringify(b)

export type Assertions = Pick<typeof t, 'same'>

/** Plays the packets of a case on what is in the kernel. */
export const playCase = async (
  t: Assertions,
  flow: FlowCase,
  protocol: Protocol,
  stage: Stage,
  { keepsSource }: Pick<Traits, 'keepsSource'> = { keepsSource: true },
): Promise<void> => {
  const packets = flow.packets
    .filter((packet) => protocol !== 'SCTP' || isForRawSockets(packet))
    .map((packet) => (keepsSource ? packet : withoutSource(packet)))
  const seen = protocol === 'SCTP' ? await oneByOne(packets, stage) : await atOnce(packets, protocol, stage)
  packets.forEach((packet, i) => {
    const source = packet.source === undefined ? '' : ` as ${packet.source}`
    const title = `${flow.name}: ${packet.from}${source} to ${packet.to} port ${packet.port} (${flow.rules.join(' ')})`
    t.same(seen[i]?.got, seen[i]?.wanted, title)
  })
  // Of TCP the kernel knows when a port is used anew, and what comes late has to find its connection.
  if (protocol !== 'TCP') forgetConnections(new AbortController().signal)
}

/** The endpoint sees the node, whatever the rules say. */
const withoutSource = (packet: Packet): Packet =>
  packet.expect.kind === 'answered' ? { ...packet, expect: { ...packet.expect, sees: 'node' } } : packet

const atOnce = (packets: readonly Packet[], protocol: Protocol, stage: Stage): Promise<readonly Seen[]> =>
  Promise.all(packets.map((packet) => play(packet, protocol, stage)))

/**
 * There are no raw servers where nothing is translated to, raw clients do not choose their address, and to a raw client on
 * the node itself a refusal looks like a drop: the write fails.
 */
const isForRawSockets = ({ from, expect, source }: Packet): boolean =>
  source === undefined &&
  expect.kind !== 'untouched' &&
  (expect.kind === 'answered' ? !expect.by.includes('node') : from !== 'node')

/** A raw socket hears of every ICMP error from its peer, whichever of its host's connections is meant. */
const oneByOne = async (packets: readonly Packet[], stage: Stage): Promise<readonly Seen[]> => {
  const seen: Seen[] = []
  for (const packet of packets) seen.push(await play(packet, 'SCTP', stage))
  return seen
}

/** So many connections that each of `count` endpoints is missed with a chance below 1e-8. */
const triesFor = (count: number): number =>
  count < 2 ? 2 : Math.ceil(Math.log(1e-8 / count) / Math.log(1 - 1 / count))

interface Seen {
  readonly got: unknown
  readonly wanted: unknown
}

const familyOf = (address: string): Net => {
  const net = nets.find(({ family }) => (family === 'IPv6') === address.includes(':'))
  if (net === undefined) throw new TypeError(`no family: ${address}`)
  return net
}

const play = async (packet: Packet, protocol: Protocol, stage: Stage): Promise<Seen> => {
  const { expect } = packet
  const quiet = isQuiet(expect, protocol)
  const ask = {
    protocol,
    address: packet.to,
    port: packet.port,
    count: expect.kind === 'answered' ? triesFor(expect.by.length) : 2,
    timeoutMs: quiet ? silenceMs : answerMs,
    ...(packet.source === undefined ? {} : { sourceAddress: packet.source }),
  }
  const host = stage.host(packet.from)
  const outcomes = protocol === 'SCTP' ? await fromOwnPorts(host, ask) : await host.connect(ask)
  const got = summary(outcomes)
  const wanted = wantedOf(packet)
  if (expect.kind !== 'untouched' || protocol === 'TCP') return { got, wanted }
  return { got: got.filter((text) => text !== 'timeout' && !wanted.includes(text)), wanted: [] }
}

let lastPort = 20_000

/** No kernel keeps raw sockets from using one port twice. */
const fromOwnPorts = (host: Host, ask: Target & { readonly count: number }): Promise<readonly Outcome[]> =>
  Promise.all(Array.from({ length: ask.count }, () => host.ask({ ...ask, sourcePort: nextPort() })))

const nextPort = (): number => {
  lastPort = lastPort === 60_000 ? 20_000 : lastPort + 1
  return lastPort
}

/**
 * Without us a packet reaches a server, which over TCP answers from the address it was asked at. A datagram's answer may
 * come from another address, which the client does not take, so over UDP and SCTP silence is as good.
 */
const isQuiet = (expect: Expectation, protocol: Protocol): boolean =>
  expect.kind === 'dropped' || (expect.kind === 'untouched' && protocol !== 'TCP')

const wantedOf = (packet: Packet): readonly string[] => {
  const { expect } = packet
  const { at } = familyOf(packet.to)
  switch (expect.kind) {
    case 'answered': {
      const peer = expect.sees === 'node' ? at.node : (packet.source ?? at[packet.from])
      return [...expect.by].sort().map((name) => `${name} answers ${peer}`)
    }
    case 'refused':
      return ['refused']
    case 'dropped':
      return ['timeout']
    case 'untouched':
      return [`${expect.by} answers ${packet.source ?? ownSource(packet)}`]
    default:
      return assertNever(expect, 'expectation')
  }
}

/** Towards an address of its own a host is its own peer at that address. */
const ownSource = ({ from, to }: Packet): string => {
  const net = familyOf(to)
  const ownAddresses = [net.at.node, net.nodeSecond, net.loopback]
  return from === 'node' && ownAddresses.includes(to) ? to : net.at[from]
}

/** Every different outcome once, sorted. */
export const summary = (outcomes: readonly Outcome[]): readonly string[] =>
  [...new Set(outcomes.map(outcomeText))].sort()

const outcomeText = (outcome: Outcome): string => {
  switch (outcome.kind) {
    case 'answered':
      return `${outcome.name} answers ${outcome.peer}`
    case 'refused':
    case 'timeout':
      return outcome.kind
    case 'failed':
      return `failed with ${outcome.code}`
    default:
      return assertNever(outcome, 'outcome')
  }
}
