import { describe, expect, it } from 'vitest'
import { ip, port } from '../../../test/property/track-objects.ts'
import { addresses, hostOf, stateOf, targetOf } from '../../../test/support/iptables-layouts.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import type { OnElement } from '../../kernel/nft/element.ts'
import { FakeNft } from '../../kernel/nft/fake.ts'
import type { SetInfo, TableInfo, TableRef } from '../../kernel/nft/objects.ts'
import { WriteGuard } from '../../kernel/nft/write-guard.ts'
import type { ServiceState } from '../../model/desired.ts'
import type { ServicePortId } from '../../model/names.ts'
import type { ServiceChange } from '../backend.ts'
import { type ReachMeans, UserspaceBackend } from './backend.ts'
import { ForwardError } from './forward/forward-error.ts'
import type { Forwarder, ForwarderChange, ListenerSpec, ListenerState, VirtualServerSpec } from './forward/forwarder.ts'

const { signal } = new AbortController()
const { pod, cluster } = addresses('IPv4')
const host = hostOf('IPv4', { addresses: [ip('192.0.2.10'), ip('127.0.0.1')] })
const targets = { cluster: [targetOf(pod(1))] }

/** Gives ports as a kernel would; remembers what it was told, with what else happened, in order. */
class FakeForwarder implements Forwarder {
  readonly servers = new Map<string, VirtualServerSpec>()
  readonly listeners = new Map<string, ListenerSpec>()
  /** Ports that other programs have. */
  readonly taken = new Set<number>()
  readonly #reports: ((state: ListenerState) => void)[] = []
  readonly #history: string[]
  #free = 40_000

  constructor(history: string[]) {
    this.#history = history
  }

  async apply({ servers, listeners }: ForwarderChange): Promise<readonly ListenerState[]> {
    for (const [id, spec] of servers) {
      this.#history.push(`${spec === undefined ? '-' : '+'} server ${id}`)
      if (spec === undefined) this.servers.delete(id)
      else this.servers.set(id, spec)
    }
    const states: ListenerState[] = []
    for (const [id, spec] of listeners) {
      this.#history.push(`${spec === undefined ? '-' : '+'} listener ${id}${spec === undefined ? '' : ` ${spec.port}`}`)
      if (spec === undefined) this.listeners.delete(id)
      else {
        this.listeners.set(id, spec)
        states.push(this.#listen(spec))
      }
    }
    return states
  }

  #listen({ id, port: wanted }: ListenerSpec): ListenerState {
    if (!this.taken.has(wanted)) return { id, port: wanted === 0 ? this.#free++ : wanted, error: undefined }
    return { id, port: undefined, error: new ForwardError('address-in-use', `listen on ${wanted}`, 'in use') }
  }

  report(state: ListenerState): void {
    for (const report of this.#reports) report(state)
  }

  onListener(report: (state: ListenerState) => void): void {
    this.#reports.push(report)
  }

  onEvent(): void {}
  stats(): never {
    throw new Error('not asked for')
  }
  async close(): Promise<void> {}
}

/** As the kernel has it: every part padded to four bytes, ports in network order. */
const keyBytes = (key: string): Uint8Array =>
  Uint8Array.from(
    key.split(' . ').flatMap((part) => {
      if (part.includes('.')) return part.split('.').map(Number)
      if (/^\d/.test(part)) return [Number(part) >> 8, Number(part) & 255, 0, 0]
      return [part === 'tcp' ? 6 : 17, 0, 0, 0]
    }),
  )
const dataBytes = (number: number): Uint8Array => Uint8Array.of(192, 0, 2, 10, number >> 8, number & 255, 0, 0)

class RecordingNft extends FakeNft {
  readonly #history: string[]
  readonly ran: string[] = []
  fail: KernelError | undefined
  /** What an earlier process has left: `services 10.0.0.1 . tcp . 80` → port. */
  found: ReadonlyMap<string, number> = new Map()

  override async tables(): Promise<readonly TableInfo[]> {
    return this.found.size === 0 ? [] : [{ family: 'ip', name: 'weir-userspace', comment: undefined, handle: 1n }]
  }

  override async sets(): Promise<readonly SetInfo[]> {
    const data = { kind: 'value', length: 8 } as const
    return ['services', 'nodeports', 'somebody-elses'].map((name) => ({
      name,
      comment: undefined,
      handle: 2n,
      flags: 8,
      keyLength: name === 'nodeports' ? 8 : 12,
      data,
    }))
  }

  override async dumpElements(_table: TableRef, set: string, onElement: OnElement): Promise<void> {
    for (const [id, number] of this.found) {
      const [name, key = ''] = id.split(/ (.*)/)
      if (name === set) onElement(keyBytes(key), undefined, dataBytes(number), undefined, 0, undefined)
    }
  }

  constructor(history: string[]) {
    super()
    this.#history = history
  }

  override async runText(script: string): Promise<void> {
    if (this.fail !== undefined) throw this.fail
    this.ran.push(script)
    this.#history.push(script.startsWith('table') ? 'nft: table' : `nft: ${script.trim()}`)
  }
}

const create = (kind: ReachMeans['kind']) => {
  const history: string[] = []
  const forwarder = new FakeForwarder(history)
  const nft = new RecordingNft(history)
  const told: string[] = []
  let resyncs = 0
  const portRange = { first: 20_000, last: 20_002 }
  const backend = new UserspaceBackend({
    family: 'IPv4',
    forwarder,
    reach: kind === 'listen' ? { kind, portRange } : { kind, client: nft, guard: new WriteGuard(nft) },
    onSocket: ({ id }, { spec, state }) => told.push(`${id} ${spec.address} ${state.port ?? state.error?.code}`),
    resync: () => {
      resyncs++
    },
  })
  const states = new Map<ServicePortId, ServiceState>()
  return {
    history,
    forwarder,
    nft,
    backend,
    told,
    resyncs: () => resyncs,
    full: async (...services: readonly ServiceState[]) => {
      states.clear()
      for (const state of services) states.set(state.id, state)
      const observed = await backend.observe(signal)
      await backend.apply(backend.plan({ kind: 'full', host, services, rewrite: true }), signal)
      return observed
    },
    change: async (...after: readonly (ServiceState | ServicePortId)[]) => {
      const services = new Map<ServicePortId, ServiceChange>()
      for (const item of after) {
        const [id, state] = typeof item === 'string' ? [item, undefined] : [item.id, item]
        services.set(id, { before: states.get(id), after: state })
        if (state === undefined) states.delete(id)
        else states.set(id, state)
      }
      const plan = backend.plan({ kind: 'delta', host, services })
      history.length = 0
      await backend.apply(plan, signal)
      return [...history]
    },
  }
}

const web = stateOf('IPv4', 'ns/web:p', { ...targets, clusterIP: cluster(1) })
const api = stateOf('IPv4', 'ns/api:p', { ...targets, clusterIP: cluster(2) })
const server = (state: ServiceState) => `${state.id} IPv4 cluster`

describe('with nftables', () => {
  it('opens before rules lead there, and closes after they are gone', async () => {
    const { full, change } = create('redirect')
    await full(web)
    expect(await change(api)).toEqual([
      `+ server ${server(api)}`,
      `+ listener ${server(api)} 0`,
      [
        `nft: add element ip weir-userspace services { ${cluster(2)} . tcp . 80 : 192.0.2.10 . 40001 }`,
        'add element ip weir-userspace listeners { 192.0.2.10 . tcp . 40001 }',
      ].join('\n'),
    ])
    expect(await change(api.id)).toEqual([
      [
        `nft: delete element ip weir-userspace services { ${cluster(2)} . tcp . 80 }`,
        'delete element ip weir-userspace listeners { 192.0.2.10 . tcp . 40001 }',
      ].join('\n'),
      `- server ${server(api)}`,
      `- listener ${server(api)}`,
    ])
  })

  it('tells the kernel nothing of a change of endpoints', async () => {
    const { full, change, forwarder } = create('redirect')
    await full(web)
    expect(await change({ ...web, cluster: [targetOf(pod(1)), targetOf(pod(2))] })).toEqual([`+ server ${server(web)}`])
    expect(forwarder.servers.get(server(web))?.targets).toHaveLength(2)
    expect(await change({ ...web, cluster: [], hasEndpoints: false })).toEqual([
      `+ server ${server(web)}`,
      [
        `nft: delete element ip weir-userspace services { ${cluster(1)} . tcp . 80 }`,
        `add element ip weir-userspace refused-services { ${cluster(1)} . tcp . 80 : goto refuse }`,
      ].join('\n'),
    ])
  })

  it('says where conntrack sees UDP flows go: to sockets that listen', async () => {
    const dns = stateOf('IPv4', 'ns/dns:p', { ...targets, protocol: 'UDP', clusterIP: cluster(3) })
    const { full, change, backend, forwarder } = create('redirect')
    const sockets = (...ports: readonly number[]) => ({
      kind: 'sockets',
      sockets: ports.map((port) => ({ address: '192.0.2.10', port })),
    })
    await full(web, dns)
    expect(backend.flowTargets(dns)).toEqual(sockets(40_001))
    forwarder.report({ id: server(dns), port: 41_000, error: undefined })
    expect(backend.flowTargets(dns)).toEqual(sockets(41_000))
    await change({ ...dns, cluster: [], hasEndpoints: false })
    expect(backend.flowTargets(dns)).toEqual(sockets())
    await change(dns)
    expect(backend.flowTargets(dns)).toEqual(sockets(41_000))
    forwarder.report({ id: server(dns), port: undefined, error: undefined })
    expect(backend.flowTargets(dns)).toEqual(sockets())
    const listening = create('listen')
    await listening.full(dns)
    expect(listening.backend.flowTargets(dns)).toEqual({ kind: 'unknown' })
  })

  it('goes on from what the forwarder has when a write failed', async () => {
    const { full, change, nft, forwarder, history, backend } = create('redirect')
    await full(web)
    nft.fail = new KernelError({ code: 'io', op: 'nft' })
    await expect(change(api)).rejects.toThrow(KernelError)
    nft.fail = undefined
    history.length = 0
    await full(web)
    expect(history).toEqual(['nft: table', `- server ${server(api)}`, `- listener ${server(api)}`])
    expect([...forwarder.servers.keys()]).toEqual([server(web)])
    expect(backend.counts().get('services')).toBe(1)
  })

  it('refuses what has no socket, and asks for the rules again when it has one', async () => {
    const { full, forwarder, nft, told, resyncs } = create('redirect')
    forwarder.taken.add(0)
    await full(web)
    expect(nft.ran.at(-1)).toContain(`${cluster(1)} . tcp . 80 : goto refuse`)
    expect(told).toEqual([`${web.id} 192.0.2.10 address-in-use`])
    forwarder.report({ id: server(web), port: 41_000, error: undefined })
    expect(told.at(-1)).toBe(`${web.id} 192.0.2.10 41000`)
    expect(resyncs()).toBe(1)
    forwarder.report({ id: 'of nobody here', port: 41_001, error: undefined })
    expect(resyncs()).toBe(1)
    await full(web)
    expect(nft.ran.at(-1)).toContain(`${cluster(1)} . tcp . 80 : 192.0.2.10 . 41000`)
  })

  it('forwards no SCTP', async () => {
    const { full, forwarder } = create('redirect')
    await full({ ...web, protocol: 'SCTP' })
    expect(forwarder.servers.size + forwarder.listeners.size).toBe(0)
  })

  it('removes its table, and nothing where there is none', async () => {
    const { backend } = create('redirect')
    await expect(backend.cleanup(signal)).resolves.toBeUndefined()
    await expect(create('listen').backend.cleanup(signal)).resolves.toBeUndefined()
  })
})

describe('without nftables', () => {
  it('hands a NodePort from one Service to another', async () => {
    const { full, change } = create('listen')
    await full({ ...web, clusterIP: undefined, nodePort: port(30_001) })
    const history = await change(web.id, { ...api, clusterIP: undefined, nodePort: port(30_001) })
    const gone = history.indexOf(`- listener ${web.id} IPv4 nodePort 0.0.0.0`)
    expect(gone).toBeGreaterThanOrEqual(0)
    expect(history.indexOf(`+ listener ${api.id} IPv4 nodePort 0.0.0.0 30001`)).toBeGreaterThan(gone)
  })

  it('takes the next loopback port where one is taken, and stays there', async () => {
    const { full, change, forwarder, told } = create('listen')
    const first =
      20_000 +
      ((): number => {
        const probe = create('listen')
        const plan = probe.backend.plan({ kind: 'full', host, services: [web], rewrite: false })
        return (plan.services.get(web.id)?.listeners[0]?.spec.port ?? 0) - 20_000
      })()
    const next = first === 20_002 ? 20_000 : first + 1
    forwarder.taken.add(first)
    await full(web)
    expect(told).toEqual([`${web.id} 127.0.0.1 ${next}`])
    forwarder.taken.clear()
    expect(await change({ ...web, cluster: [], hasEndpoints: false })).toEqual([
      `- listener ${web.id} IPv4 loopback`,
      `+ server ${server(web)}`,
    ])
    await change(web)
    expect(told.at(-1)).toBe(`${web.id} 127.0.0.1 ${next}`)
  })

  it('reports a NodePort that is taken, and serves the rest', async () => {
    const { full, forwarder, told, backend } = create('listen')
    forwarder.taken.add(30_001)
    await full({ ...web, nodePort: port(30_001) }, api)
    expect(told).toHaveLength(3)
    expect(told.filter((line) => line.endsWith('address-in-use'))).toEqual([`${web.id} 0.0.0.0 address-in-use`])
    const [served] = [...backend.served()]
    expect(served?.sockets.map(({ state }) => state.port !== undefined)).toEqual([true, false])
  })

  it('needs no kernel', async () => {
    const { full, nft, backend } = create('listen')
    await full(web)
    expect(nft.ran).toEqual([])
    await expect(backend.untouched(signal)).resolves.toBe(true)
    expect(backend.counts()).toEqual(new Map([['sockets', 1]]))
  })
})

describe('render', () => {
  it('is a table that names every socket', () => {
    const { backend } = create('redirect')
    const text = backend.render(host, [web])
    expect(text).toContain(`# ${web.id}\n#   socket 192.0.2.10 port 32768: ${server(web)}\n`)
    expect(text).toContain(`#   ${server(web)}: ${pod(1)}:80\n`)
    expect(text).toContain(`${cluster(1)} . tcp . 80 : 192.0.2.10 . 32768`)
  })
  it('is only sockets where there is no table', () => {
    const text = create('listen').backend.render(host, [{ ...web, nodePort: port(30_001) }])
    expect(text.split('\n').every((line) => line === '' || line.startsWith('#'))).toBe(true)
    expect(text).toMatch(/# {3}socket 127\.0\.0\.1 port 2000[012]: .* cluster\n# {3}socket 0\.0\.0\.0 port 30001: /)
  })
})

describe('ports of an earlier process', () => {
  const earlier = new Map([
    [`services ${cluster(1)} . tcp . 80`, 41_000],
    ['nodeports tcp . 30001', 41_000],
  ])

  it('are taken again, by one listener each', async () => {
    const { full, nft, forwarder } = create('redirect')
    nft.found = earlier
    await full({ ...web, nodePort: port(30_002) }, { ...api, nodePort: port(30_001) })
    expect([...forwarder.listeners.values()].map((spec) => spec.port)).toEqual([41_000, 0])
  })

  it('are left where they are taken', async () => {
    const { full, nft, forwarder } = create('redirect')
    nft.found = earlier
    forwarder.taken.add(41_000)
    await full(web)
    expect(nft.ran.at(-1)).toContain(`${cluster(1)} . tcp . 80 : 192.0.2.10 . 40000`)
    await full(web)
    expect([...forwarder.listeners.values()].map((spec) => spec.port)).toEqual([0])
  })
})
