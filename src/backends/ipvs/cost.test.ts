import { describe, expect, it } from 'vitest'
import { settle } from '../../../test/kernel/sync-clock.ts'
import { fakeServerKernel } from '../../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../../test/kernel/sync-ipvs-rig.ts'
import { endpoint, ip, key, service, servicePort, slice } from '../../../test/property/track-objects.ts'
import type { ModelChange } from '../../model/change.ts'

const name = (n: number): string => `ns/svc-${n}`

const put = (n: number, over: Parameters<typeof service>[1] = {}): ModelChange => ({
  kind: 'service',
  key: key(name(n)),
  value: service(name(n), {
    clusterIPs: [ip(`10.96.${n >> 8}.${n & 255}`)],
    ports: [servicePort()],
    ...over,
  }),
})
const drop = (n: number): ModelChange => ({ kind: 'service', key: key(name(n)), value: undefined })

/** The endpoints 10.128+x.y.z of Service n, by their last digits, on this node or not. */
const endpoints = (n: number, digits: readonly number[], nodeName = 'there'): ModelChange => {
  const ips = digits.map((digit) => endpoint(`10.${128 + (n >> 8)}.${n & 255}.${digit}`, { nodeName }))
  const value = slice(`${name(n)}-1`, ips)
  return { kind: 'slice', key: value.key, value }
}

interface Cost {
  /** Requests that the change itself takes. */
  readonly requests: number
  /** What drains or looks take besides, when the change is done. */
  readonly later: number
  readonly lines: number
}

/** A cluster of `size` Services with three endpoints each, and then one change. */
const costOf = async (size: number, change: readonly ModelChange[]): Promise<Cost> => {
  const rig = new IpvsRig({ kernel: fakeServerKernel() })
  rig.setAddresses([ip('192.0.2.10')])
  rig.tracker.apply(Array.from({ length: size }, (_, n) => [put(n), endpoints(n, [1, 2, 3])]).flat())
  await rig.mustSync()
  const { journal } = rig
  journal.begin()
  rig.apply(...change)
  const [backend] = rig.backends
  if (backend === undefined) throw new Error('no backend')
  const { apply } = backend
  let requests = 0
  backend.apply = async (...args) => {
    await apply.apply(backend, args)
    requests = journal.requests + journal.looks
  }
  await rig.mustSync()
  await settle()
  rig.close()
  expect(
    journal.lines.filter((line) => line.startsWith('restore')),
    'no program is started',
  ).toEqual([])
  return { requests, later: journal.requests + journal.looks - requests, lines: journal.lines.length }
}

/** Sets are written one request each; virtual servers and addresses are in batches. */
const cases: readonly { readonly what: string; readonly change: readonly ModelChange[]; readonly cost: Cost }[] = [
  { what: 'an endpoint comes', change: [endpoints(5, [1, 2, 3, 4])], cost: { requests: 1, later: 0, lines: 1 } },
  {
    what: 'an endpoint goes, which has no connections',
    change: [endpoints(5, [1, 2])],
    cost: { requests: 1, later: 2, lines: 2 },
  },
  {
    what: 'an endpoint is replaced by a local one',
    change: [endpoints(5, [1, 2]), { ...localEndpoint(5, 4) }],
    cost: { requests: 2, later: 2, lines: 4 },
  },
  { what: 'all endpoints are replaced', change: [endpoints(5, [4, 5, 6])], cost: { requests: 1, later: 2, lines: 9 } },
  {
    what: 'a Service comes',
    change: [put(9000), endpoints(9000, [1, 2, 3])],
    cost: { requests: 4, later: 0, lines: 7 },
  },
  { what: 'a Service goes', change: [drop(5)], cost: { requests: 4, later: 0, lines: 4 } },
  {
    what: 'a scheduler changes',
    change: [put(5, { scheduling: { scheduler: 'wlc', flags: [], weights: undefined } })],
    cost: { requests: 1, later: 0, lines: 1 },
  },
  { what: 'nothing changes', change: [put(5)], cost: { requests: 0, later: 0, lines: 0 } },
]

function localEndpoint(n: number, digit: number): ModelChange {
  const value = slice(`${name(n)}-2`, [endpoint(`10.${128 + (n >> 8)}.${n & 255}.${digit}`, { nodeName: 'here' })])
  return { kind: 'slice', key: value.key, value }
}

describe('the cost of a change', () => {
  it.each(cases)(
    '$what',
    async ({ change, cost }) => {
      expect(await costOf(10, change)).toEqual(cost)
      expect(await costOf(2000, change), 'is the same among 2,000 Services').toEqual(cost)
    },
    60_000,
  )

  it('of a local endpoint is two requests to come, and two to get nothing new', async () => {
    const rig = new IpvsRig({ kernel: fakeServerKernel() })
    rig.apply(put(1), endpoints(1, [1], 'here'))
    await rig.mustSync()
    for (const digits of [[1, 2], [1]]) {
      rig.journal.begin()
      rig.apply(endpoints(1, digits, 'here'))
      await rig.mustSync()
      const { lines } = rig.journal
      expect(lines.filter((line) => !line.startsWith('-d'))).toHaveLength(2)
    }
    rig.close()
  })
})
