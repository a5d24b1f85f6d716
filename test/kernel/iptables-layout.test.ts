/** What the iptables backend lays out, loaded by the real tools into the real kernel. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { IptablesSettings } from '../../src/backends/iptables/settings.ts'
import { canonicalRule } from '../../src/kernel/iptables/canonical.ts'
import { type Variant, variants } from '../../src/kernel/iptables/iptables.ts'
import { IptablesClient } from '../../src/kernel/iptables/iptables-client.ts'
import type { ServiceState } from '../../src/model/desired.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { defaultScheduling } from '../../src/model/scheduling.ts'
import {
  addresses,
  hostOf,
  layoutsOf,
  policies,
  setsText,
  settingsOf,
  stateOf,
  targetOf,
  wellKnown,
} from '../support/iptables-layouts.ts'
import { ownNamespace } from '../support/namespace.ts'

ownNamespace(import.meta.url)

const { signal } = new AbortController()

const command = (program: string, ...args: readonly string[]): void => {
  execFileSync(program, args)
}

/** Loads everything; gives back how to take it away again. */
const load = async (
  variant: Variant,
  settings: IptablesSettings,
  states: readonly ServiceState[],
  detector = hostOf(settings.family).detector,
) => {
  const { family, ipset } = settings
  const layouts = layoutsOf(hostOf(family, { detector }), settings, states)
  const client = new IptablesClient(variant, family)
  if (ipset) execFileSync('ipset', ['restore'], { input: setsText(family, layouts.elements) })
  await client.restore(layouts.tables, signal)
  const program = `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`
  return {
    layouts,
    client,
    clear: () => {
      for (const table of ['mangle', 'filter', 'nat']) {
        command(program, '-t', table, '-F')
        command(program, '-t', table, '-X')
      }
      if (ipset) command('ipset', 'destroy')
    },
  }
}

const everyOption = { dispatch: 'flat', nfacct: false } as const
const optionsOff = { ...everyOption, localhostNodePorts: false, dropInvalid: false, randomFully: false } as const

/** Weights, round robin, many endpoints. */
const scheduled = (family: Family): readonly ServiceState[] => {
  const { cluster, pod } = addresses(family)
  const targets = (count: number) =>
    Array.from({ length: count }, (_, i) => targetOf(pod(i + 1), { weight: (i % 5) + 1 }))
  return [
    stateOf(family, 'scheduled/weights', { clusterIP: cluster(101), cluster: targets(20), affinitySeconds: 86_400 }),
    stateOf(family, 'scheduled/in-turn', {
      clusterIP: cluster(102),
      cluster: targets(20),
      scheduling: { ...defaultScheduling, scheduler: 'rr' },
    }),
  ]
}

for (const variant of variants) {
  for (const family of families) {
    for (const ipset of [false, true]) {
      t.test(`${variant} takes the rules of ${family}, ipset ${ipset}`, async (t) => {
        for (const over of [everyOption, optionsOff]) {
          const settings = settingsOf(family, { ...over, ipset })
          const states = [...wellKnown(family), ...policies(family), ...scheduled(family)]
          const { layouts, client, clear } = await load(variant, settings, states)
          const saved = (await client.save(signal)).tables
          for (const { table, statements } of layouts.tables) {
            const chains = statements.flatMap((statement) => (statement.kind === 'chain' ? [statement.chain] : []))
            const rules = saved.find(({ name }) => name === table)?.rules ?? []
            const found = chains.map((chain) => rules.filter((rule) => rule.chain === chain).map(({ rule }) => rule))
            const wanted = chains.map((chain) =>
              statements.flatMap((statement) =>
                statement.kind === 'append' && statement.chain === chain ? [canonicalRule(statement.rule, family)] : [],
              ),
            )
            t.same(found, wanted, `${table}: every chain is saved as it was written`)
          }
          clear()
        }
      })
    }
  }
}

/** A host with two endpoints and several clients, all of them addresses of one device. */
const { cluster, pod } = addresses('IPv4')
const vip = cluster(41)
const clientAddress = (n: number): string => `10.99.0.${n}`

const listen = async (address: string): Promise<Server> => {
  const server = createServer((socket: Socket) => socket.end(`${address} ${socket.remoteAddress}`))
  server.listen(80, address)
  await once(server, 'listening')
  return server
}

/** Who answers a client, and which client it sees. */
const ask = async (from: string, host: string): Promise<{ readonly server: string; readonly peer: string }> => {
  const socket = connect({ host, port: 80, localAddress: from })
  socket.setEncoding('utf8')
  let answer = ''
  for await (const chunk of socket) answer += chunk
  const [server = '', peer = ''] = answer.split(' ')
  return { server, peer }
}

t.test('with packets', async (t) => {
  command('ip', 'link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1')
  command('ip', 'link', 'set', 'd1', 'up')
  // The first address is the one to masquerade with.
  command('ip', 'address', 'add', '192.0.2.1/24', 'dev', 'd0')
  for (const address of [pod(1), pod(2), ...[1, 2, 3].map(clientAddress)]) {
    command('ip', 'address', 'add', `${address}/32`, 'dev', 'd0')
  }
  command('ip', 'link', 'set', 'd0', 'up')
  command('ip', 'route', 'add', 'default', 'dev', 'd0')
  const servers = await Promise.all([listen(pod(1)), listen(pod(2))])
  t.teardown(() => {
    for (const server of servers) server.close()
  })

  for (const variant of variants) {
    for (const ipset of [false, true]) {
      const settings = settingsOf('IPv4', { ...everyOption, ipset })
      const options = `${variant}, ipset ${ipset}`
      const both = [targetOf(pod(1)), targetOf(pod(2))]

      t.test(`a client is remembered, anew with each connection, and forgotten: ${options}`, async (t) => {
        // Round robin shows who is picked anew: it would be the other endpoint's turn.
        const scheduling = { ...defaultScheduling, scheduler: 'rr' } as const
        const state = stateOf('IPv4', 'ns1/svc1:p80', { cluster: both, scheduling, affinitySeconds: 2 })
        const { clear } = await load(variant, settings, [state], { kind: 'none' })
        const serverOf = async (n: number) => (await ask(clientAddress(n), vip)).server
        const first = await serverOf(1)
        for (let i = 0; i < 3; i++) t.equal(await serverOf(1), first, 'at once')
        await sleep(1200)
        t.equal(await serverOf(1), first, 'after a while')
        await sleep(1200)
        t.equal(await serverOf(1), first, 'by now only because it came again')
        t.not(await serverOf(2), first, 'others have their own')
        t.equal(await serverOf(3), first)
        await sleep(2300)
        t.not(await serverOf(1), first, 'picked anew when the time is over')
        clear()
      })

      t.test(
        `an endpoint that reaches itself is masqueraded, on the way through the Service only: ${options}`,
        async (t) => {
          const state = stateOf('IPv4', 'ns1/svc1:p80', { cluster: [targetOf(pod(1))] })
          const { clear } = await load(variant, settings, [state], { kind: 'none' })
          t.not((await ask(pod(1), vip)).peer, pod(1))
          t.same(await ask(pod(2), vip), { server: pod(1), peer: pod(2) })
          t.same(await ask(pod(1), pod(1)), { server: pod(1), peer: pod(1) })
          clear()
        },
      )

      t.test(`weights are heeded: ${options}`, async (t) => {
        const [light, heavy] = [targetOf(pod(1)), targetOf(pod(2), { weight: 4 })]
        const { clear } = await load(
          variant,
          settings,
          [stateOf('IPv4', 'ns1/svc1:p80', { cluster: [light, heavy] })],
          {
            kind: 'none',
          },
        )
        let heavier = 0
        for (let i = 0; i < 500; i++) if ((await ask(clientAddress(1), vip)).server === heavy.ip) heavier++
        // 0.8 of 500 is 400 with a standard deviation of 9; equal weights would give 250.
        t.ok(heavier > 345 && heavier < 455, `${heavier} of 500`)
        clear()
      })
    }
  }
})
