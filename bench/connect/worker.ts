/** The process that opens connections: client and server at once, so that no other process has to be scheduled. */
import { targetPort } from '../cluster/manifests.ts'
import { answer } from '../process/worker.ts'
import type { ConnectOperations, Route } from './operations.ts'
import { Destination, enterNetns, Listener } from './sockets.ts'

const backlog = 4096

const listeners = new Map<string, Listener>()

const listenerIn = (netns: string): Listener => {
  const known = listeners.get(netns)
  if (known !== undefined) return known
  enterNetns(netns)
  const listener = new Listener(targetPort, backlog)
  listeners.set(netns, listener)
  return listener
}

const prepare = ({ scene, destinations }: Route) => ({
  netns: scene.client,
  listener: listenerIn(scene.pods),
  destinations: destinations.map(({ ip, port }) => new Destination(ip, port)),
  next: 0,
  samples: [] as number[],
})

answer<ConnectOperations>({
  connect: ({ routes, rounds, perRound }) => {
    const prepared = routes.map(prepare)
    for (let round = 0; round < rounds; round++) {
      // Whoever comes later in a round finds warmer caches: the order turns from round to round.
      const first = round % prepared.length
      for (const route of [...prepared.slice(first), ...prepared.slice(0, first)]) {
        enterNetns(route.netns)
        for (let i = 0; i < perRound; i++) {
          const destination = route.destinations[route.next++ % route.destinations.length]
          if (destination !== undefined) route.samples.push(destination.open())
        }
        const arrived = route.listener.drain()
        if (arrived !== perRound) throw new Error(`${arrived} of ${perRound} connections reached a pod`)
      }
    }
    return prepared.map(({ samples }) => samples)
  },
})
