import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ModelChange } from '../../../src/model/change.ts'
import { resourceSpecs } from '../../../src/source/kube/resources.ts'
import { FakeApiServer } from '../../apiserver/fake-api-server.ts'
import type { Verb } from '../../apiserver/faults.ts'
import {
  headlessManifest,
  nodeManifest,
  serviceCidrManifest,
  serviceManifest,
  sliceManifest,
} from '../../apiserver/manifests.ts'
import { type ResourceName, resourceNames } from '../../apiserver/resources.ts'
import { selection } from '../../apiserver/selectors.ts'
import { eventually, quickTiming, start } from './harness.ts'
import { idOf } from './recording-sink.ts'

/** Mulberry32: a seed gives the same numbers everywhere. */
const generator = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const options = { nodeName: 'node-1', proxyName: undefined, allowExternalIPs: true }

/** What a source that missed nothing has handed over, all in all. */
const expectedState = (server: FakeApiServer): ReadonlyMap<string, unknown> => {
  const state = new Map<string, unknown>()
  for (const { name, fieldSelector, labelSelector, toChanges } of resourceSpecs(options)) {
    const resource = resourceNames.find((each) => each === name) ?? 'services'
    const selects = selection(labelSelector ?? '', fieldSelector ?? '')
    for (const object of server.objects(resource).filter(selects))
      for (const change of toChanges({
        kind: 'present',
        name: { namespace: 'default', ...object.metadata },
        json: object,
      }).changes)
        if (change.value !== undefined) state.set(idOf(change), change.value)
  }
  return state
}

/** Every write of the test carries a number that only grows; it comes back out of the model here. */
const writeNumber = ({ kind, value }: ModelChange): number => {
  if (value === undefined) return 0
  if (kind === 'node') return Number(value.zone?.slice('zone-'.length))
  if (kind === 'serviceCidr') return Number(value.cidrs[0]?.split('.')[1])
  return value.ports[0]?.port ?? Number.NaN
}

const wentBack = (changes: readonly ModelChange[]): readonly string[] => {
  const newest = new Map<string, number>()
  return changes.flatMap((change) => {
    const id = idOf(change)
    const number = writeNumber(change)
    if (number === 0) return []
    const before = newest.get(id) ?? 0
    newest.set(id, number)
    return number > before ? [] : [`${id} from ${before} to ${number}`]
  })
}

const steps = 90

type Choice = () => void | Promise<void>

const chaos = async (server: FakeApiServer, seed: number): Promise<void> => {
  const random = generator(seed)
  const below = (bound: number): number => Math.floor(random() * bound)
  const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0]
  const anywhere = (): ResourceName | undefined => pick([undefined, ...resourceNames])
  const name = (): string => `object-${below(6)}`

  const writes = (number: number): readonly [Choice, ...Choice[]] => [
    () => server.delete('services', name()),
    () => server.delete('endpointslices', name()),
    () => server.delete('servicecidrs', name()),
    () => void server.put('services', headlessManifest(name(), number)),
    () => void server.put('nodes', nodeManifest(pick(['node-1', 'node-2']), `zone-${number}`)),
    () => void server.put('servicecidrs', serviceCidrManifest(name(), `10.${number}.0.0/16`)),
    () => void server.put('endpointslices', sliceManifest(name(), number)),
    () => void server.put('services', serviceManifest(name(), number)),
    () => void server.put('services', serviceManifest(name(), number)),
  ]
  const times = (): number => 1 + below(2)
  const verb = (): Verb => pick(['list', 'watch'])
  const disturbances: readonly [Choice, ...Choice[]] = [
    () => server.closeWatches(anywhere()),
    () => server.dropWatches(anywhere()),
    () => server.stallWatches(anywhere()),
    () => server.writeGarbage(anywhere()),
    () => server.writeHalfLine(pick(['close', 'drop']), anywhere()),
    () => server.expireWatches(anywhere()),
    () => {
      server.expireHistory(anywhere())
      server.dropWatches()
    },
    () => server.bookmark(),
    async () => {
      await server.refuse()
      await sleep(below(30))
      await server.accept()
    },
    () => server.freezeCache(),
    () => server.thawCache(),
    () => server.inject({ kind: 'slow', ms: below(30) }, { verb: verb(), times: times() }),
    () => server.inject({ kind: 'silence' }, { verb: verb(), times: times() }),
    () => server.inject({ kind: 'drop' }, { verb: verb(), times: times() }),
    () => server.inject({ kind: 'html' }, { verb: verb(), times: times() }),
    () => server.inject({ kind: 'cut' }, { verb: 'list', times: times() }),
    // Not 404: an optional resource that vanishes is taken back, and given again when it reappears.
    () => server.inject({ kind: 'status', code: pick([401, 403, 429, 500, 503]) }, { verb: verb(), times: times() }),
  ]
  for (let step = 1; step <= steps; step++) {
    await pick(writes(step))()
    if (random() < 0.4) await pick(disturbances)()
    if (random() < 0.5) await sleep(below(12))
  }
}

describe('any changes and any faults', () => {
  const recovered = { errors: 0, relists: 0, reconnects: 0 }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('leave the sink with the state of the server (seed %i)', async (seed) => {
    const server = await FakeApiServer.start({
      historyLimit: seed % 2 === 0 ? 10 : 1000,
      cacheIgnoresLimit: seed % 3 !== 0,
      expiredAs: seed % 2 === 0 ? 'event' : 'status',
    })
    server.put('nodes', nodeManifest('node-1', 'zone-0'))
    const running = start(server, {
      timing: { ...quickTiming, watchMs: 100, graceMs: 50 },
      answerMs: 60,
      random: generator(seed + 1000),
    })
    try {
      await chaos(server, seed)
      server.clearFaults()
      server.thawCache()
      const end = expectedState(server)
      await eventually(() => {
        expect(Object.fromEntries(running.sink.state)).toEqual(Object.fromEntries(end))
        expect(running.sink.syncedCalls).toBe(1)
      }, 1000)
      expect(running.sink.repeated).toEqual([])
      expect(wentBack(running.sink.batches.flat())).toEqual([])
      for (const { errors, relists, reconnects } of running.source.status().values()) {
        recovered.errors += errors
        recovered.relists += relists
        recovered.reconnects += reconnects
      }
    } finally {
      await running.stop()
      await server.close()
    }
  })
  it('have made every way of recovery necessary', () => {
    expect(recovered.errors).toBeGreaterThan(100)
    expect(recovered.relists).toBeGreaterThan(20)
    expect(recovered.reconnects).toBeGreaterThan(100)
  })
})
