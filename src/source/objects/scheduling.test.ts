import { describe, expect, it } from 'vitest'
import { nothingRequested, schedulers } from '../../model/scheduling.ts'
import { Place } from './place.ts'
import { readScheduling } from './scheduling.ts'

const read = (annotations: Record<string, unknown>) => {
  const root = new Place({ kind: 'Service', namespace: 'default', name: 'web' })
  const { scheduler, flags, weights } = readScheduling(root, annotations)
  return {
    scheduler,
    flags,
    weights: weights === undefined ? undefined : Object.fromEntries(weights),
    faults: root.problems.map(({ field, reason }) => `${field}: ${reason}`),
  }
}

const plain = { scheduler: undefined, flags: [], weights: undefined, faults: [] }

describe('scheduling annotations', () => {
  it('share one default', () => {
    const root = new Place({ kind: 'Service', namespace: 'default', name: 'web' })
    expect(readScheduling(root, { other: '1' } as never)).toBe(nothingRequested)
    expect(readScheduling(root, undefined)).toBe(nothingRequested)
  })

  it.each(schedulers)('know the scheduler %s', (scheduler) => {
    expect(read({ 'weir.dev/scheduler': scheduler })).toEqual({ ...plain, scheduler })
  })

  it('read the name of kube-router only where ours is absent', () => {
    expect(read({ 'kube-router.io/service.scheduler': 'lc' }).scheduler).toBe('lc')
    expect(read({ 'weir.dev/scheduler': 'rr', 'kube-router.io/service.scheduler': 'lc' }).scheduler).toBe('rr')
    expect(read({ 'weir.dev/scheduler': 'best', 'kube-router.io/service.scheduler': 'lc' })).toEqual({
      ...plain,
      faults: ['metadata.annotations[weir.dev/scheduler]: "best" is not a scheduler, so the default is used'],
    })
    expect(read({ 'kube-router.io/service.scheduler': 'RR' }).faults).toEqual([
      'metadata.annotations[kube-router.io/service.scheduler]: "RR" is not a scheduler, so the default is used',
    ])
  })

  it('take the flags of their scheduler, in one order', () => {
    expect(read({ 'weir.dev/scheduler': 'sh', 'weir.dev/scheduler-flags': 'sh-port, sh-fallback,sh-port,' })).toEqual({
      ...plain,
      scheduler: 'sh',
      flags: ['sh-fallback', 'sh-port'],
    })
    expect(read({ 'weir.dev/scheduler': 'mh', 'weir.dev/scheduler-flags': 'mh-port,sh-port,turbo' })).toEqual({
      ...plain,
      scheduler: 'mh',
      flags: ['mh-port'],
      faults: [
        'metadata.annotations[weir.dev/scheduler-flags]: "sh-port" is not a flag of the scheduler mh, so it is left out',
        'metadata.annotations[weir.dev/scheduler-flags]: "turbo" is not one of sh-fallback, sh-port, mh-fallback, mh-port, so it is left out',
      ],
    })
    expect(read({ 'weir.dev/scheduler-flags': 'sh-port' }).faults).toEqual([
      'metadata.annotations[weir.dev/scheduler-flags]: "sh-port" is not a flag of the default scheduler, so it is left out',
    ])
  })

  it('take weights by address, pod, node or zone; addresses in their one form', () => {
    const weights = '{"010.0.0.1": 3, "FD00::1": 0, "pod-1": 65535, "zone-a": 2}'
    expect(read({ 'weir.dev/scheduler': 'wrr', 'weir.dev/weights': weights })).toEqual({
      ...plain,
      scheduler: 'wrr',
      weights: { '10.0.0.1': 3, 'fd00::1': 0, 'pod-1': 65535, 'zone-a': 2 },
    })
  })

  it('leave out a bad weight and nothing else', () => {
    const { weights, faults } = read({ 'weir.dev/weights': '{"a": -1, "b": 65536, "c": 1.5, "d": "2", "e": 4}' })
    expect(weights).toEqual({ e: 4 })
    expect(faults.map((fault) => fault.replace(/^.*?: /, ''))).toEqual([
      'the weight -1 of "a" is not a whole number from 0 to 65535, so it is left out',
      'the weight 65536 of "b" is not a whole number from 0 to 65535, so it is left out',
      'the weight 1.5 of "c" is not a whole number from 0 to 65535, so it is left out',
      'the weight "2" of "d" is not a whole number from 0 to 65535, so it is left out',
    ])
  })

  it.each(['{', '[]', '5', '"x"', 'null', ''])('refuse %j as weights', (text) => {
    const { weights, faults } = read({ 'weir.dev/weights': text })
    expect(weights).toBeUndefined()
    expect(faults).toEqual([
      `metadata.annotations[weir.dev/weights]: ${JSON.stringify(text)} is not a JSON object such as {"10.0.0.1": 2}, so every weight is 1`,
    ])
  })
})
