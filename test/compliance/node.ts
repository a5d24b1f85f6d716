/** What depends on the node itself: its addresses as they come and go, other people's marks, source ports, pings. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { parseCidr } from '../../src/model/cidr.ts'
import { type Net, nets, nodePort, port } from '../flows/net.ts'
import { exposed, ready, service } from '../flows/objects.ts'
import { RawSocket } from '../support/raw-socket.ts'
import type { BackendUnderTest } from './backend-under-test.ts'
import { probeMarks } from './mark-probe.ts'
import { summary } from './run-flows.ts'
import { defaultSettings } from './settings.ts'
import type { Stage } from './stage.ts'
import { withNode } from './with-node.ts'

export const playNode = async (backend: BackendUnderTest, stage: Stage): Promise<void> => {
  const end = async (): Promise<void> => {
    await backend.stop()
    await backend.cleanup()
  }
  const refuses = backend.traits.pings === 'refused'

  for (const net of nets) {
    const ip = net.family === 'IPv4' ? 'ip' : 'ip6'

    await t.test(
      `S2.6 an address that the node gets while we run takes NodePorts, until it goes, ${net.family}, ${backend.name}`,
      async (t) => {
        const around = parseCidr(`${net.at.node}/${net.bits - 4}`)
        if (around === undefined) throw new TypeError('no network')
        const added = net.family === 'IPv4' ? '192.0.2.12' : '2001:db8::1c'
        const outside = net.family === 'IPv4' ? '192.0.2.77' : '2001:db8::77'
        await backend.start(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'pod-1')]), {
          ...defaultSettings,
          nodePortAddresses: [around],
        })
        const ask = async (address: string): Promise<readonly string[]> =>
          summary(await stage.host('client').connect({ address, port: nodePort, count: 2, timeoutMs: 500 }))
        const address = (word: 'add' | 'del', text: string): unknown =>
          execFileSync('ip', [
            'addr',
            word,
            `${text}/${net.bits}`,
            'dev',
            'eth0',
            ...(word === 'add' ? [...(ip === 'ip6' ? ['nodad'] : []), 'preferred_lft', '0'] : []),
          ])
        for (const text of [added, outside]) address('add', text)
        const taken = [`pod-1 answers ${net.at.node}`]
        for (let i = 0; i < 500 && (await ask(added)).join() !== taken.join(); i++) await sleep(20)
        t.same(await ask(added), taken, 'inside the CIDR')
        t.same(await ask(outside), [`node answers ${net.at.client}`], 'outside')
        t.same(await ask(net.at.node), taken, 'the first address as before')
        address('del', added)
        await backend.update(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'remote-1')]))
        address('add', added)
        // That it was gone may be heard of after the first answer; five in a row take longer than that.
        const back = `remote-1 answers ${net.at.node}`
        for (let i = 0, inRow = 0; i < 500 && inRow < 5; i++) {
          inRow = (await ask(added)).join() === back ? inRow + 1 : 0
          await sleep(20)
        }
        t.same(await ask(added), [back], 'it was gone and is back')
        for (const text of [added, outside]) address('del', text)
        await end()
      },
    )

    await t.test(
      `S10.3 a ping of a ClusterIP is ${refuses ? 'rejected' : 'none of ours'}, ${net.family}, ${backend.name}`,
      async (t) => {
        await backend.start(withNode([service(net, 'TCP'), ready(net, 'TCP', 'pod-1')]), defaultSettings)
        t.equal(await ping(net, net.at.elsewhere), 'answered', 'where nobody rejects')
        t.equal(await ping(net, net.clusterIP(2)), 'answered', 'an address that is no ClusterIP: it is elsewhere')
        t.equal(await ping(net, net.clusterIP(1)), refuses ? 'rejected' : 'answered')
        await end()
        t.equal(await ping(net, net.clusterIP(1)), 'answered', 'without us')
      },
    )

    // Nothing of a client's goes any further than to the process.
    if (!backend.traits.keepsSource) continue

    await t.test(
      `S11.1 others' bits of the mark are kept, ours is gone on the way out, ${net.family}, ${backend.name}`,
      async (t) => {
        const counts = probeMarks(t, net, 1 << defaultSettings.masqueradeBit)
        await backend.start(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'remote-1')]), defaultSettings)
        for (const [address, at] of [
          [net.clusterIP(1), port],
          [net.at.node, nodePort],
        ] as const) {
          const outcomes = await stage.host('client').connect({ address, port: at, count: 3, timeoutMs: 5_000 })
          t.same(summary(outcomes), [`remote-1 answers ${net.at.node}`])
        }
        const { kept, notKept, ours } = counts()
        t.ok(kept >= 6, 'kept, in the first packet of every connection')
        t.equal(notKept, 0, 'lost')
        t.equal(ours, 0, 'of ours')
        await end()
      },
    )

    await t.test(
      `S11.1 the source port of a masqueraded connection is chosen anew, another's is kept, ${net.family}, ${backend.name}`,
      async (t) => {
        await backend.start(withNode([exposed(net, 'TCP'), ready(net, 'TCP', 'remote-1')]), defaultSettings)
        const ports = Array.from({ length: 6 }, (_, i) => 31_001 + i)
        const kept = async (from: 'client' | 'pod-2'): Promise<number> => {
          const asked = ports.map((sourcePort) =>
            stage.host(from).ask({ address: net.clusterIP(1), port, sourcePort, timeoutMs: 5_000 }),
          )
          const outcomes = await Promise.all(asked)
          return outcomes.filter((outcome, i) => outcome.kind === 'answered' && outcome.peerPort === ports[i]).length
        }
        // That one of some 60,000 ports is the old one happens; that two of six are, hardly.
        t.ok((await kept('client')) < 2, 'masqueraded')
        t.equal(await kept('pod-2'), 6, 'not masqueraded')
        await end()
      },
    )
  }
}

/** An echo request from the node. A packet that is rejected on its way out cannot even be written. */
const ping = async (net: Net, address: string): Promise<'answered' | 'rejected' | 'silence'> => {
  const socket = new RawSocket(net.family, net.family === 'IPv4' ? 1 : 58)
  try {
    socket.connect(address)
    // Type 8 or 128, the checksum of an otherwise empty IPv4 request; the kernel fills in that of ICMPv6.
    socket.send(
      net.family === 'IPv4' ? Uint8Array.of(8, 0, 0xf7, 0xff, 0, 0, 0, 0) : Uint8Array.of(128, 0, 0, 0, 0, 0, 0, 0),
    )
    const replyType = net.family === 'IPv4' ? 0 : 129
    for (let i = 0; i < 500; i++) {
      const got = socket.receive()
      if (got.kind === 'refused') return 'rejected'
      if (got.kind === 'packet' && got.payload[0] === replyType) return 'answered'
      if (got.kind === 'nothing') await sleep(1)
    }
    return 'silence'
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EPERM') return 'rejected'
    throw cause
  } finally {
    socket.close()
  }
}
