import { writeFileSync } from 'node:fs'
import {
  activate,
  closeConnection,
  createScheduler,
  deactivate,
  openConnection,
  type Scheduler,
  type SchedulerName,
  type Server,
  seededRandom,
} from '../../src/algorithms/index.ts'
import { assertNever } from '../../src/model/assert-never.ts'
import type { SchedulerFlag } from '../../src/model/scheduling.ts'
import { type Choice, one, weighted } from './choice.ts'
import type { Counted, Ipvs } from './ipvs.ts'
import type { KernelModel } from './kernel-model.ts'
import { PacketSender, type Tuple } from './packets.ts'
import { type Places, placesOf, someServer } from './places.ts'
import type { VariantReport } from './report.ts'
import { defaultExpiration, type Step, steps, type Variant } from './variants.ts'

/** A connection that the kernel knows. */
interface Flow {
  readonly tuple: Tuple
  readonly server: Server
  state: 'active' | 'inactive'
}

/** Longer than a tick of the guest's clock (HZ 100), in which lblcr sees that a set is old. */
const tickMs = 30

/**
 * One virtual server, in the kernel and here: every step is done to both, and after each the two are compared, who was
 * picked as well as the order of the servers and the connections of each.
 *
 * Nothing depends on time. A TCP connection that was opened is ESTABLISHED (SYN, ACK) and so active, one that was closed is in
 * FIN_WAIT (FIN) and so inactive, and both stay for an hour. Under direct routing the kernel sees one direction only, so the
 * client's packets are enough. Only what is told to `retire` comes to its end, all of it before the next step.
 */
export class Trial {
  readonly variant: Variant
  readonly #ipvs: Ipvs
  readonly #model: KernelModel
  readonly #below: Choice
  readonly #places: Places
  readonly #sender: PacketSender
  readonly #rival: Scheduler
  #scheduler: Scheduler
  /** What the kernel said last. */
  #counted: readonly Counted[] = []
  #flows: Flow[] = []
  #retiring: readonly Flow[] = []
  #lastPort = 1023
  /** Seconds; moves on with every pick, which is enough to be later than the one before. */
  #clock = 0
  #chapter = 0
  #steps = 0
  #picks = 0
  #nobody = 0
  #rivalWrong = 0
  readonly #disagreements: string[] = []

  /** `number`: 1 to 249, another one for each trial of a kernel. The same `seed` makes the same steps. */
  constructor(ipvs: Ipvs, model: KernelModel, variant: Variant, number: number, seed: number) {
    const { schedulers, flags, family, rival, servers } = variant
    this.variant = variant
    this.#ipvs = ipvs
    this.#model = model
    this.#below = seededRandom(1000 * seed + number)
    this.#places = placesOf(variant, number, this.#below)
    this.#sender = new PacketSender(family, this.#places.mark)
    this.#scheduler = this.#bind(schedulers[0], flags, [], variant.expiration, false)
    this.#rival = this.#bind(rival.scheduler, rival.flags, [], rival.expiration, rival.otherOverhead)
    ipvs.addService(this.#places.key, schedulers[0], flags)
    for (const server of this.#places.candidates.slice(0, servers)) this.#add(server)
    this.#compare('after adding servers')
  }

  get report(): VariantReport {
    return {
      kind: 'variant',
      name: this.variant.name,
      steps: this.#steps,
      picks: this.#picks,
      nobody: this.#nobody,
      disagreements: this.#disagreements.length,
      examples: this.#disagreements.slice(0, 5),
      rival: this.variant.rival.name,
      rivalWrong: this.#rivalWrong,
    }
  }

  /** The next part of the steps. */
  runChapter(): void {
    const { schedulers, flags, stepsPerChapter, expiration } = this.variant
    const name = schedulers[this.#chapter % schedulers.length] ?? schedulers[0]
    this.#chapter++
    if (name !== this.#scheduler.name) {
      this.#ipvs.editService(this.#places.key, name, flags)
      this.#scheduler = this.#bind(name, flags, this.#scheduler.servers, expiration, false)
    }
    if (expiration !== defaultExpiration) setExpiration(expiration)
    for (let i = 0; i < stepsPerChapter; i++) {
      this.#steps++
      const step = weighted(steps, this.variant.mix, this.#below)
      this.#take(step)
      this.#compare(`after ${step}`)
    }
    if (expiration !== defaultExpiration) setExpiration(defaultExpiration)
  }

  /** Gives most connections, none of which is active any more, the short timeout that the kernel has at this moment. */
  retire(): void {
    this.#retiring = this.variant.retires
      ? this.#flows.filter(({ server }) => this.#has(server) && this.#below(10) < 7)
      : []
    for (const flow of this.#retiring) this.#close(flow)
  }

  /** Whether the kernel has forgotten what was retired. */
  hasRetired(): boolean {
    const left = total(this.#scheduler.servers) - this.#retiring.length
    return total(this.#ipvs.count(this.#places.key)) === left
  }

  /** The retired connections have ended. */
  forget(): void {
    const ended = new Set(this.#retiring)
    for (const { server } of ended) closeConnection(server, 'inactive')
    this.#flows = this.#flows.filter((flow) => !ended.has(flow))
    this.#retiring = []
    this.#compare('after connections ended')
  }

  #bind(
    name: SchedulerName,
    flags: readonly SchedulerFlag[],
    servers: readonly Server[],
    expiration: number,
    otherOverhead: boolean,
  ): Scheduler {
    const legacy = (this.#model.overhead === 'legacy') !== otherOverhead
    const overhead = legacy ? 'legacy' : 'total'
    const now = (): number => this.#clock
    return createScheduler(name, { servers, flags, overhead, expiration, random: this.#below, now })
  }

  #take(step: Step): void {
    const { weights, protocol } = this.variant
    switch (step) {
      case 'open':
        this.#open()
        break
      case 'open-and-close': {
        const flow = this.#open()
        if (flow !== undefined) this.#close(flow)
        break
      }
      case 'close': {
        const flow = this.#some('active')
        if (flow !== undefined) this.#close(flow)
        break
      }
      case 'open-again': {
        const flow = this.#some('inactive')
        if (flow !== undefined && protocol === 'TCP') this.#openAgain(flow)
        break
      }
      case 'weight':
        this.#edit((server) => {
          server.weight = one(weights, this.#below)
        })
        break
      case 'thresholds':
        this.#edit((server) => {
          const upper = this.#below(3) === 0 ? 0 : 1 + this.#below(25)
          this.#model.setThresholds(server, upper, this.#below(2) * this.#below(upper + 1))
        })
        break
      case 'remove': {
        const server = someServer(this.#scheduler.servers, this.#below)
        if (server !== undefined) this.#remove(server)
        break
      }
      case 'add': {
        const absent = this.#places.candidates.filter((server) => !this.#has(server))
        const server = someServer(absent, this.#below)
        if (server !== undefined) this.#add(server)
        break
      }
      default:
        assertNever(step, 'step')
    }
  }

  #open(): Flow | undefined {
    if (this.variant.expiration < 1) pause(tickMs)
    this.#clock++
    this.#picks++
    const { clients, destinations, port } = this.#places
    const tuple: Tuple = {
      client: one(clients, this.#below),
      clientPort: ++this.#lastPort,
      destination: one(destinations, this.#below),
      port,
    }
    const ours = this.#scheduler.pick(tuple)
    const rivals = this.#rival.pick(tuple)
    const tcp = this.variant.protocol === 'TCP'
    const kernels = this.#pickedBy(() => this.#sender.send(tcp ? 'syn' : 'udp', tuple))
    if (kernels !== ours) this.#disagree(`picked ${nameOf(kernels)}, ours ${nameOf(ours)}`)
    if (kernels !== rivals) this.#rivalWrong++
    if (kernels === undefined) {
      this.#nobody++
      return undefined
    }
    if (tcp) this.#sender.send('ack', tuple)
    const flow: Flow = { tuple, server: kernels, state: tcp ? 'active' : 'inactive' }
    openConnection(kernels, flow.state)
    this.#flows.push(flow)
    return flow
  }

  /** The server that has one connection more than before. With nobody the packet was dropped. */
  #pickedBy(send: () => boolean): Server | undefined {
    const before = new Map(this.#counted.map((server) => [keyOf(server), total([server])]))
    const passed = send()
    const grown = this.#ipvs
      .count(this.#places.key)
      .filter((server) => total([server]) > (before.get(keyOf(server)) ?? 0))
    if (grown.length !== (passed ? 1 : 0))
      throw new Error(
        `${this.variant.name}: a packet ${passed ? 'passed' : 'was dropped'}, ${grown.length} servers grew`,
      )
    const [found] = grown
    return found && this.#scheduler.servers.find((server) => keyOf(server) === keyOf(found))
  }

  #close(flow: Flow): void {
    this.#sender.send(this.variant.protocol === 'TCP' ? 'fin' : 'udp', flow.tuple)
    if (flow.state === 'active') deactivate(flow.server)
    flow.state = 'inactive'
  }

  #openAgain(flow: Flow): void {
    this.#sender.send('syn', flow.tuple)
    this.#sender.send('ack', flow.tuple)
    activate(flow.server)
    flow.state = 'active'
  }

  /** Packets to a server that was removed are dropped and change nothing, so its connections are left alone. */
  #some(state: Flow['state']): Flow | undefined {
    const [first, ...rest] = this.#flows.filter((flow) => flow.state === state && this.#has(flow.server))
    return first && one([first, ...rest], this.#below)
  }

  /** Whatever changes about a server, to the kernel it is an edit, of which the scheduler hears. */
  #edit(change: (server: Server) => void): void {
    const server = someServer(this.#scheduler.servers, this.#below)
    if (server === undefined) return
    change(server)
    this.#ipvs.edit(this.#places.key, server)
    this.#scheduler.update(server)
    this.#rival.update(server)
  }

  /** A server that was there before has its connections still, in the kernel's trash as here. */
  #add(server: Server): void {
    server.weight = one(this.variant.weights, this.#below)
    this.#model.setThresholds(server, server.upperThreshold, server.lowerThreshold)
    this.#ipvs.add(this.#places.key, server)
    this.#scheduler.add(server)
    this.#rival.add(server)
  }

  #remove(server: Server): void {
    this.#ipvs.remove(this.#places.key, server)
    this.#scheduler.remove(server)
    this.#rival.remove(server)
  }

  #has(server: Server): boolean {
    return this.#scheduler.servers.includes(server)
  }

  #compare(when: string): void {
    this.#counted = this.#ipvs.count(this.#places.key)
    const kernels = this.#counted.map(countsOf).join(', ')
    const ours = this.#scheduler.servers.map(countsOf).join(', ')
    if (kernels !== ours) this.#disagree(`has, ${when}, ${kernels}; ours ${ours}`)
  }

  #disagree(what: string): void {
    const servers = this.#scheduler.servers.map(
      (server) => `${countsOf(server)} weight ${server.weight}${server.overloaded ? ' overloaded' : ''}`,
    )
    this.#disagreements.push(`step ${this.#steps}: the kernel ${what} (${servers.join(', ')})`)
  }
}

const total = (servers: readonly Pick<Counted, 'active' | 'inactive'>[]): number =>
  servers.reduce((sum, { active, inactive }) => sum + active + inactive, 0)

const keyOf = ({ ip, port }: Pick<Counted, 'ip' | 'port'>): string => `${ip} port ${port}`
const nameOf = (server: Server | undefined): string => (server === undefined ? 'nobody' : keyOf(server))
const countsOf = (server: Counted): string => `${keyOf(server)}: ${server.active} + ${server.inactive}`

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

const setExpiration = (seconds: number): void => writeFileSync('/proc/sys/net/ipv4/vs/lblcr_expiration', `${seconds}\n`)
