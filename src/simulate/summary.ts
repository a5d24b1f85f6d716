import type { LoadSamples } from './load-samples.ts'
import type { Movement } from './movement.ts'
import type { ConnectionCounts, SchedulerResult, ServerResult } from './result.ts'
import type { SimulatedServer } from './simulated-server.ts'
import { Spread } from './spread.ts'

/** What was measured, apart from delays and counts. `duration`: seconds until the last arrival. */
export const summary = (
  simulated: readonly SimulatedServer[],
  { changes, repeats, kept }: Movement,
  samples: LoadSamples,
  duration: number,
): Pick<SchedulerResult, 'servers' | 'imbalance' | 'changes' | 'affinity' | 'loadOverTime' | 'duration'> => {
  const servers = simulated.map((one) => serverResult(one, duration))
  const spread = new Spread()
  for (const { connections, fair } of servers) if (fair > 0) spread.add(connections / fair)
  return {
    servers,
    imbalance: {
      connections: { maxOverMean: spread.maxOverMean, cv: spread.cv },
      load: { maxOverMean: samples.maxOverMean, cv: samples.cv },
    },
    changes,
    affinity: { repeats, kept },
    loadOverTime: { interval: samples.interval, perServer: samples.perServer },
    duration,
  }
}

export const countsOf = (servers: readonly SimulatedServer[], total: number, unscheduled: number): ConnectionCounts => {
  const sum = (of: (one: SimulatedServer) => number): number => servers.reduce((all, one) => all + of(one), 0)
  return {
    total,
    served: sum(({ served }) => served),
    unscheduled,
    refused: sum(({ refused }) => refused),
    failed: sum(({ failed }) => failed),
    cut: sum(({ cut }) => cut),
  }
}

const serverResult = (one: SimulatedServer, duration: number): ServerResult => {
  const { plan, server, connections, fair, served, refused, failed, cut, peak, loads, busySeconds } = one
  const room = plan.capacity * duration
  return {
    name: plan.name,
    weight: server.weight,
    connections,
    fair,
    served,
    refused,
    failed,
    cut,
    peakLoad: peak,
    p99Load: Math.floor(loads.quantile(0.99)),
    meanLoad: loads.mean,
    utilisation: Number.isFinite(room) && room > 0 ? busySeconds / room : undefined,
  }
}
