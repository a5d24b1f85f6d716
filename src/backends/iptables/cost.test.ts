import { describe, expect, it } from 'vitest'
import { Ledger, type Operation } from '../../../test/kernel/sync-iptables-faults.ts'
import { fakeKernel } from '../../../test/kernel/sync-iptables-kernel.ts'
import { IptablesRig, type Layout, layoutName, layouts } from '../../../test/kernel/sync-iptables-rig.ts'
import { endpoint, ip, key, service, servicePort, slice } from '../../../test/property/track-objects.ts'
import type { ModelChange } from '../../model/change.ts'

const names = (n: number): string => `ns/svc-${n}`
const address = (n: number): string => `10.96.${n >> 8}.${n & 255}`

const put = (n: number): ModelChange => ({
  kind: 'service',
  key: key(names(n)),
  value: service(names(n), { clusterIPs: [ip(address(n))], ports: [servicePort()] }),
})
const drop = (n: number): ModelChange => ({ kind: 'service', key: key(names(n)), value: undefined })

/** The endpoints 10.128+x.y.z of Service n, by their last digits. */
const endpoints = (n: number, digits: readonly number[]): ModelChange => {
  const value = slice(
    `${names(n)}-1`,
    digits.map((digit) => endpoint(`10.${128 + (n >> 8)}.${n & 255}.${digit}`)),
  )
  return { kind: 'slice', key: value.key, value }
}

/** A cluster of `size` Services with three endpoints each, and then one change. */
class Cluster {
  readonly ledger = new Ledger()
  readonly rig: IptablesRig
  readonly size: number

  constructor(layout: Layout, size: number) {
    this.size = size
    this.rig = new IptablesRig({ kernel: fakeKernel(), ledger: this.ledger, layout })
    const objects = Array.from({ length: size }, (_, n) => [put(n), endpoints(n, [1, 2, 3])]).flat()
    this.rig.tracker.apply(objects)
  }

  async after(...changes: readonly ModelChange[]): Promise<Cost> {
    await this.rig.mustSync()
    this.ledger.begin()
    this.rig.apply(...changes)
    await this.rig.mustSync()
    const { operations, looks } = this.ledger
    expect(looks, 'nothing is read back').toBe(0)
    return costOf(operations)
  }
}

interface Cost {
  readonly lines: number
  readonly restores: number
  /** Operations on sets, and members in them. */
  readonly setOperations: number
  readonly members: number
}

const costOf = (operations: readonly Operation[]): Cost => {
  const restores = operations.flatMap((operation) => (operation.kind === 'restore' ? [operation] : []))
  const lines = restores.flatMap(({ changes }) => changes.flatMap(({ statements }) => statements)).length
  const members = operations.flatMap((operation) => ('members' in operation ? operation.members : [])).length
  return { lines, restores: restores.length, setOperations: operations.length - restores.length, members }
}

const rules = (lines: number): Cost => ({ lines, restores: 1, setOperations: 0, members: 0 })
const withSets = (lines: number, setOperations: number, members = setOperations): Cost => ({
  ...rules(lines),
  setOperations,
  members,
})

interface Case {
  readonly what: string
  readonly changes: readonly ModelChange[]
  /** By layout: plain and with sets. In a tree, what is said of flat chains is without their dispatch. */
  readonly flat: Cost
  readonly flatSets: Cost
}

const chain = (rulesIn: number): number => 1 + rulesIn
const stale = 2

/** KUBE-SVC- has a rule per endpoint, KUBE-SEP- two. Without a pod CIDR nothing tells whom KUBE-SVC- should masquerade. */
const cases: readonly Case[] = [
  {
    what: 'an endpoint replaced',
    changes: [endpoints(100, [1, 2, 4])],
    flat: rules(chain(3) + chain(2) + stale),
    flatSets: withSets(chain(3), 2),
  },
  {
    what: 'an endpoint added',
    changes: [endpoints(100, [1, 2, 3, 4])],
    flat: rules(chain(4) + chain(2)),
    flatSets: withSets(chain(4), 1),
  },
  {
    what: 'an endpoint removed',
    changes: [endpoints(100, [1, 2])],
    flat: rules(chain(2) + stale),
    flatSets: withSets(chain(2), 1),
  },
  {
    what: 'the last endpoint removed',
    changes: [endpoints(100, [])],
    flat: rules(1 + stale + 3 * stale + 1),
    flatSets: withSets(1 + stale, 3, 5),
  },
  {
    what: 'a Service added',
    changes: [put(5000), endpoints(5000, [1, 2, 3])],
    flat: rules(1 + chain(3) + 3 * chain(2)),
    flatSets: withSets(1 + chain(3), 2, 4),
  },
  {
    what: 'a Service removed',
    changes: [drop(100)],
    flat: rules(1 + stale + 3 * stale),
    flatSets: withSets(1 + stale, 2, 4),
  },
]

/** Entries that the last branch and the leaf of a tree hold, and their chains' own lines. */
const treeLines = 2 * (1 + 16)

describe.each(layouts.map((layout) => ({ layout, name: layoutName(layout) })))(
  'the cost of a change: $name',
  ({ layout }) => {
    it.each(cases)(
      '$what',
      async ({ changes, flat, flatSets }) => {
        const [small, large] = [new Cluster(layout, 200), new Cluster(layout, 2000)]
        const costs = [await small.after(...changes), await large.after(...changes)]
        const wanted = layout.ipset ? flatSets : flat
        for (const cost of costs) {
          if (layout.dispatch === 'flat') expect(cost).toEqual(wanted)
          else {
            expect({ ...cost, lines: 0 }).toEqual({ ...wanted, lines: 0 })
            expect(cost.lines).toBeLessThanOrEqual(wanted.lines + treeLines)
          }
        }
      },
      60_000,
    )
  },
)
