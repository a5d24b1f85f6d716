import type { Packet } from '../algorithms/packet.ts'
import type { IP } from '../model/ip.ts'
import { type ArrivalClock, arrivalClock } from './arrivals.ts'
import { Crowd } from './population.ts'
import { RandomStream } from './random-stream.ts'
import type { Scenario } from './scenario.ts'

/** Who may connect to what, shared by the runs of all schedulers. */
export interface Crowds {
  readonly clients: Crowd
  readonly destinations: Crowd
}

export const crowdsOf = ({ clients, destinations, seed }: Scenario): Crowds => ({
  clients: new Crowd(clients, seed),
  destinations: new Crowd(destinations, seed),
})

/** One stream for each thing that is drawn. */
const purpose = { arrivals: 1, clients: 2, ports: 3, destinations: 4, demand: 5 } as const

/** Linux' ip_local_port_range. */
const firstPort = 32768
const ports = 28232

/** The connections, one after another: the same for every scheduler. The object is the packet that a scheduler looks at. */
export class Traffic implements Packet {
  /** Seconds from the start. */
  time = 0
  /** Index of the client. */
  number = 0
  client: IP
  clientPort = firstPort
  destination: IP
  /** For `Demand`. */
  u = 0.5
  v = 0.5
  readonly #crowds: Crowds
  readonly #clock: ArrivalClock
  readonly #clients: RandomStream
  readonly #ports: RandomStream
  readonly #destinations: RandomStream
  readonly #demand: RandomStream

  constructor({ seed, arrivals }: Scenario, crowds: Crowds) {
    this.#crowds = crowds
    this.#clock = arrivalClock(arrivals, new RandomStream(seed, purpose.arrivals))
    this.#clients = new RandomStream(seed, purpose.clients)
    this.#ports = new RandomStream(seed, purpose.ports)
    this.#destinations = new RandomStream(seed, purpose.destinations)
    this.#demand = new RandomStream(seed, purpose.demand)
    this.client = firstOf(crowds.clients)
    this.destination = firstOf(crowds.destinations)
  }

  next(): void {
    const { clients, destinations } = this.#crowds
    this.time = this.#clock()
    this.number = clients.draw(this.#clients)
    this.client = clients.addresses[this.number] ?? this.client
    this.clientPort = firstPort + this.#ports.below(ports)
    this.destination = destinations.addresses[destinations.draw(this.#destinations)] ?? this.destination
    this.u = this.#demand.uniform()
    this.v = this.#demand.uniform()
  }
}

const firstOf = ({ addresses: [first] }: Crowd): IP => {
  if (first === undefined) throw new RangeError('a crowd of nobody')
  return first
}
