/** NetlinkConntrack with the conntrack program as judge. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { conntrackCounters, type FlowFilter } from '../../src/kernel/conntrack/conntrack.ts'
import { NetlinkConntrack, openConntrack } from '../../src/kernel/conntrack/netlink-conntrack.ts'
import { protocols } from '../../src/kernel/netlink/constants.ts'
import { openTransport } from '../../src/kernel/netlink/transport.ts'
import { MessageReader } from '../../src/kernel/netlink/wire.ts'
import { type Flow, flowAddress } from '../../src/model/flow.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { protocolWord } from '../../src/model/protocol.ts'
import { ownNamespace } from '../support/namespace.ts'
import { sh } from './cli-program.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()
const conntrack = openConntrack()
t.teardown(() => conntrack.close())
t.afterEach(() => sh('conntrack -F'))

const addresses = {
  IPv4: { client: '198.51.100.7', vip: '10.96.0.53', socket: '192.0.2.10', flag: 'ipv4' },
  IPv6: { client: '2001:db8:1::7', vip: 'fd00:96::53', socket: '2001:db8::10', flag: 'ipv6' },
} as const satisfies Record<Family, unknown>

interface Entry {
  readonly family: Family
  readonly protocol?: 'tcp' | 'udp' | 'sctp'
  readonly clientPort?: number
  readonly socketPort?: number
  /** Options of conntrack(8). */
  readonly more?: string
}

const insertion = ({ family, protocol = 'udp', clientPort = 5000, socketPort = 40001, more = '' }: Entry): string => {
  const { client, vip, socket } = addresses[family]
  const state = { tcp: '--state ESTABLISHED', udp: '', sctp: '--state ESTABLISHED --orig-vtag 1 --reply-vtag 2' }[
    protocol
  ]
  return [
    `-I -p ${protocol} -s ${client} -d ${vip} --sport ${clientPort} --dport 53`,
    `-r ${socket} -q ${client} --reply-port-src ${socketPort} --reply-port-dst ${clientPort} -t 600 ${state} ${more}`,
  ].join(' ')
}
const insert = (entry: Entry): void => {
  sh(`conntrack ${insertion(entry)}`)
}

const flowsOf = async (filter: FlowFilter): Promise<readonly Flow[]> => {
  const found: Flow[] = []
  await conntrack.flows(filter, (flow) => found.push(flow.copy()), signal)
  return found
}
const deleted = async (flow: Flow): Promise<number> => {
  const { deleted, refusals } = await conntrack.delete([flow], signal)
  t.same(refusals, [])
  return deleted
}
const theFlow = async (filter: FlowFilter): Promise<Flow> => {
  const [flow, ...others] = await flowsOf(filter)
  if (flow === undefined || others.length > 0) throw new Error(`${others.length} others`)
  return flow
}
/** What conntrack(8) lists of one family. */
const listed = (family: Family, more = ''): readonly string[] =>
  sh(`conntrack -L -f ${addresses[family].flag} ${more}`).split('\n').filter(Boolean)

t.test('lists what is there, of one family and protocol', async (t) => {
  for (const family of families)
    for (const [i, protocol] of (['tcp', 'udp', 'sctp'] as const).entries())
      insert({ family, protocol, clientPort: 5000 + i })
  for (const family of families)
    for (const [i, protocol] of (['TCP', 'UDP', 'SCTP'] as const).entries()) {
      const { client, vip, socket } = addresses[family]
      const flow = await theFlow({ family, protocol })
      const text = (end: keyof Pick<Flow, 'source' | 'destination' | 'target'>): string =>
        `${flowAddress(family, flow[end])} ${flow[end].port}`
      t.match(flow, { family, protocol, zone: 0 })
      t.same(
        [text('source'), text('destination'), text('target')],
        [`${client} ${5000 + i}`, `${vip} 53`, `${socket} 40001`],
      )
      const ids = sh(`conntrack -L -f ${addresses[family].flag} -p ${protocolWord[protocol]} -o id`)
      t.match(ids, new RegExp(`\\bid=${flow.id}\\b`))
    }
})

t.test('the kernel filters by protocol', async (t) => {
  for (const family of families) {
    for (const protocol of ['tcp', 'udp'] as const) insert({ family, protocol })
    let entries = 0
    const counting = new NetlinkConntrack(() => {
      const transport = openTransport({ protocol: protocols.netfilter })
      const receive = transport.receiveAsync?.bind(transport)
      transport.receiveAsync = async () => {
        const bytes = await receive?.()
        const messages = new MessageReader(bytes ?? new Uint8Array())
        while (messages.next()) if (messages.type === 0x100) entries++
        return bytes
      }
      return transport
    })
    await counting.flows({ family, protocol: 'UDP' }, () => {}, signal)
    t.equal(entries, 1, family)
  }
})

t.test('deletes one entry, and only that', async (t) => {
  for (const family of families) {
    for (const clientPort of [5000, 5001]) insert({ family, clientPort })
    insert({ family, protocol: 'tcp' })
    const flow = (await flowsOf({ family, protocol: 'UDP' })).find(({ source }) => source.port === 5000)
    if (flow === undefined) throw new Error('not there')
    t.equal(await deleted(flow), 1)
    t.equal(listed(family).length, 2)
    t.equal(listed(family, '-p udp --sport 5001').length, 1)
    t.equal(await deleted(flow), 0, 'gone already')
    insert({ family, clientPort: 5000 })
    // The kernel makes the id from the entry's place in memory, too, which a new one may be given again.
    t.equal(await deleted({ ...flow, id: (flow.id ^ 1) >>> 0 }), 0, 'another one has taken its place')
    t.equal(listed(family).length, 3)
  }
})

t.test('tells zones apart', async (t) => {
  for (const family of families) {
    insert({ family })
    insert({ family, more: '--zone 3' })
    insert({ family, socketPort: 40002, more: '--orig-zone 4' })
    const flows = await flowsOf({ family, protocol: 'UDP' })
    t.same(flows.map(({ zone }) => zone).sort(), [0, 3, 4])
    for (const [left, zone] of [
      [2, 3],
      [1, 4],
      [0, 0],
    ] as const) {
      const flow = flows.find((one) => one.zone === zone)
      if (flow === undefined) throw new Error(`no zone ${zone}`)
      t.equal(await deleted(flow), 1, `zone ${zone}`)
      t.equal((await flowsOf({ family, protocol: 'UDP' })).length, left)
    }
  }
})

t.test('many flows are streamed, and deleted', async (t) => {
  const count = 20_000
  const lines = Array.from({ length: count }, (_, i) => insertion({ family: 'IPv4', clientPort: 10_000 + i }))
  sh('cat | conntrack -R -', lines.map((line) => `${line}\n`).join(''))
  const flows = await flowsOf({ family: 'IPv4', protocol: 'UDP' })
  t.equal(new Set(flows.map(({ source }) => source.port)).size, count)
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  t.same(await conntrack.delete([...flows, ...flows.slice(0, 10)], signal), { deleted: count, refusals: [] })
  clearInterval(timer)
  t.ok(turns > 3, `others had their turn ${turns} times`)
  t.equal(sh('conntrack -C').trim(), '0')
})

t.test('up to a hundred are gone when the call returns', async (t) => {
  const lines = Array.from({ length: 100 }, (_, i) => insertion({ family: 'IPv4', clientPort: 10_000 + i }))
  sh('cat | conntrack -R -', lines.map((line) => `${line}\n`).join(''))
  const flows = await flowsOf({ family: 'IPv4', protocol: 'UDP' })
  const deletion = conntrack.delete(flows, signal)
  t.equal(sh('conntrack -C').trim(), '0')
  t.same(await deletion, { deleted: 100, refusals: [] })
})

t.test('counts what conntrack(8) counts', async (t) => {
  for (const clientPort of [5000, 5001, 5002]) insert({ family: 'IPv4', clientPort })
  insert({ family: 'IPv6' })
  const sums = (text: string): Readonly<Record<string, number>> => {
    const found: Record<string, number> = {}
    for (const [, name = '', value] of text.matchAll(/(\w+)=(\d+)/g))
      if (name !== 'cpu') found[name === 'chaintoolong' ? 'chain_toolong' : name] = (found[name] ?? 0) + Number(value)
    return found
  }
  const before = sums(sh('conntrack -S'))
  const { entries, limit, counters } = await conntrack.stats(signal)
  const after = sums(sh('conntrack -S'))
  t.equal(entries, Number(sh('conntrack -C')))
  t.equal(entries, 4)
  t.equal(limit, Number(sh('cat /proc/sys/net/netfilter/nf_conntrack_max')))
  t.same([...counters.keys()].sort(), [...conntrackCounters].sort())
  for (const [name, value] of counters)
    t.ok(
      (before[name] ?? 0) <= value && value <= (after[name] ?? 0),
      `${name}: ${before[name]} ${value} ${after[name]}`,
    )
})

t.test('what is thrown for an entry ends it, as does the signal', async (t) => {
  insert({ family: 'IPv4' })
  const stop = new Error('enough')
  const filter = { family: 'IPv4', protocol: 'UDP' } as const
  await t.rejects(
    conntrack.flows(
      filter,
      () => {
        throw stop
      },
      signal,
    ),
    stop,
  )
  const flow = await theFlow(filter)
  const over = AbortSignal.abort(stop)
  await t.rejects(
    conntrack.flows(filter, () => {}, over),
    stop,
  )
  await t.rejects(conntrack.delete([flow], over), stop)
  t.equal(listed('IPv4').length, 1)
})

t.test('without CAP_NET_ADMIN it says permission', async (t) => {
  const script = `
    const { openConntrack } = await import('${new URL('../../src/kernel/conntrack/netlink-conntrack.js', import.meta.url)}')
    const { signal } = new AbortController()
    await openConntrack().flows({ family: 'IPv4', protocol: 'UDP' }, () => {}, signal).catch(({ code }) => console.log(code))
  `
  const without = ['--bounding-set=-net_admin', '--inh-caps=-net_admin']
  const ran = spawnSync('setpriv', [...without, process.execPath, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  t.equal(ran.stdout.trim(), 'permission', ran.stderr)
})
