import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Packet } from '../../../algorithms/packet.ts'
import { type CounterBlock, Counters, type SlotRef, slotsPerBlock } from './counters.ts'
import { DescriptorGate, descriptorsPerConnection } from './descriptor-gate.ts'
import type { Endpoint } from './endpoint.ts'
import type { ForwarderEvent, ForwarderOptions } from './forwarder.ts'
import type { EngineChange, EngineSetup, ListenerSetup, ServerSetup } from './messages.ts'
import { Pool, type PoolOptions, type PoolSpec } from './pool.ts'
import { ProcessCounters } from './process-counters.ts'
import { TcpListener } from './tcp-listener.ts'
import { type RelayContext, reset, TcpRelay } from './tcp-relay.ts'
import { type UdpContext, UdpListener } from './udp-listener.ts'
import { admit, type VirtualServer } from './virtual-server.ts'

/** Milliseconds of a clock that never goes back and is the same in all threads. */
const monotonic = (): number => Number(process.hrtime.bigint() / 1_000_000n)

const schedulerTickMs = 60_000
/** A probe that hears nothing is given up after its connection attempt; UDP has no attempt that could end. */
const probeSlackMs = 1000

/** Everything that one thread does: its part of every listener, its connections and sessions. */
export class Engine {
  readonly #setup: EngineSetup
  readonly #options: ForwarderOptions
  readonly #tell: (event: ForwarderEvent) => void
  readonly #process: ProcessCounters
  readonly #gate: DescriptorGate
  readonly #blocks: CounterBlock[] = []
  /** By block and index: a slot looks the same to all its owners. */
  readonly #slots = new Map<number, Counters>()
  readonly #servers = new Map<string, VirtualServer>()
  readonly #tcp = new Map<string, TcpListener>()
  readonly #udp = new Map<string, UdpListener>()
  readonly #relays = new Set<TcpRelay>()
  readonly #relayContext: RelayContext
  readonly #udpContext: UdpContext
  readonly #sweepMs: number
  readonly #sweeping: NodeJS.Timeout
  #ticked = monotonic()
  #drained: (() => void) | undefined

  constructor(setup: EngineSetup, tell: (event: ForwarderEvent) => void) {
    this.#setup = setup
    this.#options = setup.options
    this.#tell = tell
    this.#process = new ProcessCounters(setup.process)
    this.#gate = new DescriptorGate({
      process: this.#process,
      maxDescriptors: setup.maxDescriptors,
      onPaused: () => tell({ kind: 'accept-paused' }),
      onResumed: (afterMs) => tell({ kind: 'accept-resumed', afterMs }),
    })
    this.#relayContext = {
      connectTimeoutMs: setup.options.connectTimeoutMs,
      attempts: setup.options.attempts,
      process: this.#process,
      tick: 0,
      onExhausted: () => this.#gate.close(),
      onClosed: (relay) => this.#closed(relay),
    }
    this.#udpContext = {
      process: this.#process,
      gate: this.#gate,
      maxConnections: setup.options.maxConnections,
      maxUdpSessions: setup.options.maxUdpSessions,
      tick: 0,
      draining: false,
      serverOf: (id) => this.#servers.get(id),
    }
    this.#sweepMs = sweepInterval(setup.options)
    this.#sweeping = setInterval(() => this.#sweep(), this.#sweepMs)
  }

  apply({ blocks, servers, closed, changed, opened }: EngineChange): void {
    this.#blocks.push(...blocks)
    for (const [id, setup] of servers) {
      if (setup === undefined) this.#remove(id)
      else this.#put(id, setup)
    }
    for (const id of closed) this.#closeListener(id)
    for (const spec of changed) {
      this.#tcp.get(spec.id)?.retarget(spec)
      this.#udp.get(spec.id)?.retarget(spec)
    }
    for (const setup of opened) this.#openListener(setup)
    for (const listener of this.#udp.values()) listener.sweep(0)
  }

  /** Takes nothing new from now on, and ends when the last connection has, at the latest after `drainMs`. */
  async close(drainMs: number): Promise<void> {
    this.#udpContext.draining = true
    for (const id of [...this.#tcp.keys()]) this.#closeListener(id)
    if (this.#relays.size > 0 && drainMs > 0) {
      const late = new AbortController()
      const empty = new Promise<void>((resolve) => {
        this.#drained = resolve
      })
      await Promise.race([empty, sleep(drainMs, undefined, { signal: late.signal }).catch(() => {})])
      late.abort()
    }
    for (const relay of this.#relays) relay.abort()
    for (const id of [...this.#udp.keys()]) this.#closeListener(id)
    clearInterval(this.#sweeping)
    this.#gate.stop()
  }

  #put(id: string, setup: ServerSetup): void {
    const known = this.#servers.get(id)
    const spec = this.#poolSpec(setup)
    if (known !== undefined && known.spec.protocol === setup.spec.protocol) {
      known.spec = setup.spec
      known.pool.update(spec)
      return
    }
    this.#remove(id)
    const pool = new Pool(spec, this.#poolOptions(id))
    this.#servers.set(id, { spec: setup.spec, pool, counters: this.#counters(setup.slot) })
  }

  #remove(id: string): void {
    // Its connections hold on to it.
    this.#servers.get(id)?.pool.quiesce()
    this.#servers.delete(id)
  }

  #poolSpec({ spec, slots }: ServerSetup): PoolSpec {
    const targets = spec.targets.flatMap((target, i) => {
      const slot = slots[i]
      return slot === undefined ? [] : [{ target, counters: this.#counters(slot) }]
    })
    return { scheduling: spec.scheduling, affinitySeconds: spec.affinitySeconds, targets }
  }

  #poolOptions(server: string): PoolOptions {
    const { ejectAfter, ejectMs, maxEjectMs, connectTimeoutMs, maxAffinity } = this.#options
    return {
      now: monotonic,
      random: (below) => Math.floor(Math.random() * below),
      ejectAfter,
      ejectMs,
      maxEjectMs,
      probeMs: connectTimeoutMs + probeSlackMs,
      maxAffinity,
      onEjected: ({ ip, port }: Endpoint, forMs) => this.#tell({ kind: 'ejected', server, ip, port, forMs }),
      onRecovered: ({ ip, port }: Endpoint) => this.#tell({ kind: 'recovered', server, ip, port }),
    }
  }

  #counters(ref: SlotRef): Counters {
    const number = ref.block * slotsPerBlock + ref.index
    const known = this.#slots.get(number)
    if (known !== undefined) return known
    const block = this.#blocks[ref.block]
    if (block === undefined) throw new RangeError(`there is no block ${ref.block} of counters`)
    const counters = new Counters(block, ref, this.#setup.thread)
    this.#slots.set(number, counters)
    return counters
  }

  #openListener({ spec, descriptor }: ListenerSetup): void {
    this.#process.addDescriptors(1)
    if (spec.protocol === 'UDP') {
      this.#udp.set(spec.id, new UdpListener(spec, descriptor, this.#udpContext))
      return
    }
    const listener = new TcpListener(spec, descriptor, {
      serverOf: (id) => this.#servers.get(id),
      accept: (client, server, packet, preamble) => this.#accept(client, server, packet, preamble),
      refuse: (client) => this.#refuse(client),
      exhausted: () => this.#gate.close(),
    })
    this.#tcp.set(spec.id, listener)
    this.#gate.add(listener)
  }

  #closeListener(id: string): void {
    const tcp = this.#tcp.get(id)
    const udp = this.#udp.get(id)
    if (tcp === undefined && udp === undefined) return
    this.#process.addDescriptors(-1)
    if (tcp !== undefined) this.#gate.delete(tcp)
    tcp?.close()
    udp?.close()
    this.#tcp.delete(id)
    this.#udp.delete(id)
  }

  #accept(client: Socket, server: VirtualServer, packet: Packet, preamble: Uint8Array | undefined): void {
    if (!admit(server, 'active', this.#process, this.#options.maxConnections)) {
      this.#refuse(client)
      return
    }
    this.#gate.take(descriptorsPerConnection)
    this.#relays.add(new TcpRelay(client, server, packet, preamble, this.#relayContext))
  }

  #refuse(client: Socket): void {
    client.on('error', () => {})
    reset(client)
  }

  #closed(relay: TcpRelay): void {
    this.#process.addConnections(-1, false)
    this.#gate.give(descriptorsPerConnection)
    this.#relays.delete(relay)
    if (this.#relays.size === 0) this.#drained?.()
  }

  #sweep(): void {
    const tick = ++this.#relayContext.tick
    this.#udpContext.tick = tick
    const { tcpIdleMs, udpSessionMs, drainMs } = this.#options
    const oldest = tcpIdleMs > 0 ? tick - Math.ceil(tcpIdleMs / this.#sweepMs) : -1
    const removedBefore = drainMs > 0 ? monotonic() - drainMs : -1
    for (const relay of this.#relays) {
      const removedAt = relay.endpoint?.removedAt
      if (removedAt !== undefined && removedAt < removedBefore) relay.abort()
      else if (relay.lastTick < oldest) relay.end()
    }
    for (const listener of this.#udp.values()) listener.sweep(Math.ceil(udpSessionMs / this.#sweepMs))
    this.#sweepPools()
  }

  #sweepPools(): void {
    const now = monotonic()
    const due = now - this.#ticked >= schedulerTickMs
    if (due) this.#ticked = now
    for (const { pool } of this.#servers.values()) {
      pool.sweep()
      if (due) pool.tick()
    }
  }
}

/** An eighth of the shortest timeout, 20 ms to 5 s. */
const sweepInterval = ({ tcpIdleMs, udpSessionMs, drainMs }: ForwarderOptions): number => {
  const shortest = Math.min(...[tcpIdleMs, udpSessionMs, drainMs].filter((ms) => ms > 0), 40_000)
  return Math.max(20, Math.min(5000, Math.ceil(shortest / 8)))
}
