import type { Test } from 'tap'
import type { Host, Target } from './host.ts'
import type { Outcome } from './host-protocol.ts'

/** Who connects to what. */
export interface Lane {
  readonly host: Host
  readonly target: Target
  /** Names of the servers that may answer. */
  readonly servers: readonly string[]
}

/** Opens a connection every `everyMs`, 10 unless given, down each lane in turn, until it is told to stop. */
export class SteadyTraffic {
  readonly #lanes: readonly Lane[]
  readonly #outcomes: Promise<{ readonly lane: Lane; readonly outcome: Outcome }>[] = []
  readonly #timer: NodeJS.Timeout
  readonly #synsBefore: Promise<readonly number[]>

  constructor(lanes: readonly Lane[], everyMs = 10) {
    this.#lanes = lanes
    this.#synsBefore = this.#syns()
    this.#timer = setInterval(() => {
      const lane = lanes[this.#outcomes.length % lanes.length]
      if (lane !== undefined) this.#outcomes.push(ask(lane))
    }, everyMs)
  }

  /** Asserts that every one was answered by one of its servers, and at the first attempt. */
  async end(t: Test): Promise<void> {
    clearInterval(this.#timer)
    const outcomes = await Promise.all(this.#outcomes)
    const lost = outcomes.filter(
      ({ lane, outcome }) => outcome.kind !== 'answered' || !lane.servers.includes(outcome.name),
    )
    const shown = lost.map(({ lane, outcome }) => ({ from: lane.host.name, ...lane.target, outcome }))
    t.same(shown.slice(0, 5), [], `none of ${outcomes.length} connections is lost`)
    t.ok(outcomes.length > 50, 'there was traffic')
    t.same(await this.#syns(), await this.#synsBefore, 'nor is a single SYN')
  }

  /** Connections of each host that needed more than one SYN since its namespace exists. */
  async #syns(): Promise<readonly number[]> {
    const hosts = [...new Set(this.#lanes.map(({ host }) => host))]
    const texts = await Promise.all(hosts.map((host) => host.run(['nstat', '-asz', 'TcpExtTCPSynRetrans'])))
    return texts.map((text) => Number(/TcpExtTCPSynRetrans\s+(\d+)/.exec(text)?.[1]))
  }
}

const ask = async (lane: Lane): Promise<{ readonly lane: Lane; readonly outcome: Outcome }> => ({
  lane,
  outcome: await lane.host.ask({ ...lane.target, timeoutMs: 10_000 }),
})
