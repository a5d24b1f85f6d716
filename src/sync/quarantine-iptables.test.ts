import { describe, expect, it } from 'vitest'
import { cluster, drop, plain, put, withEndpoints } from '../../test/kernel/sync-cluster.ts'
import { dumpRules } from '../../test/kernel/sync-iptables-dump.ts'
import { Ledger } from '../../test/kernel/sync-iptables-faults.ts'
import { fakeKernel } from '../../test/kernel/sync-iptables-kernel.ts'
import { IptablesRig, type Layout, layoutName, layouts } from '../../test/kernel/sync-iptables-rig.ts'
import { cidr, ip, port, service, servicePort } from '../../test/property/track-objects.ts'
import { type Variant, variants } from '../kernel/iptables/iptables.ts'
import type { Statement, TableChange } from '../kernel/iptables/restore-builder.ts'
import { ruleText } from '../kernel/iptables/rule-text.ts'
import type { ModelChange } from '../model/change.ts'

/** A Service with rules in every chain of table filter that Services have rules in. */
const elaborate = (n: number): readonly ModelChange[] => [
  put(
    service(`ns/elaborate-${n}`, {
      clusterIPs: [ip(`10.96.1.${n}`), ip(`fd00::1:${n}`)],
      loadBalancerIPs: [ip(`198.51.100.${n}`), ip(`2001:db8::1:${n}`)],
      sourceRanges: [cidr('192.0.2.0/24'), cidr('2001:db8::/32')],
      externalPolicy: 'Local',
      internalPolicy: 'Local',
      healthCheckNodePort: port(31_000 + n),
      ports: [
        servicePort({ name: 'http', nodePort: port(30_100 + n) }),
        servicePort({ name: 'sctp', protocol: 'SCTP', nodePort: port(30_200 + n) }),
      ],
    }),
  ),
  ...withEndpoints(`elaborate-${n}`, 100 + n, 3).map((change) =>
    change.kind === 'slice' && change.value !== undefined
      ? { ...change, value: { ...change.value, ports: [{ name: 'http', protocol: 'TCP' as const, port: port(80) }] } }
      : change,
  ),
  // The other port has no endpoints.
]

const simple = Array.from({ length: 12 }, (_, i) => plain(20 + i, 2)).flat()
const all = [...cluster, ...simple, ...Array.from({ length: 8 }, (_, n) => elaborate(n + 1)).flat()]

class Scene {
  readonly kernel
  readonly rig: IptablesRig
  refused: ReadonlySet<unknown> = new Set()
  /** Whether the program says which line it means. */
  tells = true

  constructor(variant: Variant, layout: Layout) {
    this.kernel = fakeKernel(variant)
    this.rig = new IptablesRig({ kernel: this.kernel, ledger: new Ledger(), layout })
    for (const { iptables } of this.rig.backends)
      iptables.rewrite = (changes) => changes.map((change) => this.#spoil(change))
  }

  /** The program cannot know the line when it is the kernel that refuses: both variants name another one then. */
  #spoil({ table, statements }: TableChange): TableChange {
    const spoil = (statement: Statement): Statement =>
      statement.kind === 'append' && this.refused.has(statement.tag)
        ? {
            ...statement,
            tag: this.tells ? statement.tag : undefined,
            rule: ruleText('-j', String(statement.tag).replace('ns/', 'NO-')),
          }
        : statement
    return { table, statements: table === 'nat' ? statements.map(spoil) : statements }
  }

  async settle(): Promise<void> {
    for (let tries = 0; (await this.rig.sync()) !== undefined; tries++) expect(tries).toBeLessThan(3)
  }

  leftOut(): readonly unknown[] {
    return this.rig.families.map((family) => [...family.leftOut().keys()].sort())
  }

  /** As nothing had ever been refused; without the Services named. */
  async equals(layout: Layout, changes: readonly ModelChange[]): Promise<void> {
    const kernel = fakeKernel()
    const fresh = new IptablesRig({ kernel, ledger: new Ledger(), layout })
    fresh.apply(...changes)
    await fresh.mustSync()
    expect(await dumpRules(this.kernel)).toEqual(await dumpRules(kernel))
    expect(this.rig.backends.map((backend) => backend.counts())).toEqual(
      fresh.backends.map((backend) => backend.counts()),
    )
  }
}

const names = (...numbers: readonly number[]): readonly string[] => numbers.map((n) => `ns/elaborate-${n}`)
const without = (...numbers: readonly number[]): readonly ModelChange[] => [
  ...all,
  ...names(...numbers).map((name) => drop(name)),
]
const cases = variants.flatMap((variant) =>
  layouts.flatMap((layout) =>
    [true, false].map((tells) => ({
      variant,
      layout,
      tells,
      name: `${variant}, ${layoutName(layout)}, ${tells ? 'named' : 'unnamed'}`,
    })),
  ),
)

describe.each(cases)('Services whose rules are refused: $name', ({ variant, layout, tells }) => {
  it('leave nothing behind, in no table and no set, and take nothing from the others', async () => {
    const scene = new Scene(variant, layout)
    scene.tells = tells
    scene.refused = new Set(names(3, 5, 6))
    scene.rig.apply(...all)
    expect(await scene.rig.sync()).toMatchObject({ code: 'rejected', tag: tells ? 'ns/elaborate-3' : undefined })
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(3, 5, 6), names(3, 5, 6)])
    await scene.equals(layout, without(3, 5, 6))

    scene.rig.apply(...plain(21, 5))
    await scene.rig.mustSync()
    await scene.equals(layout, [...without(3, 5, 6), ...plain(21, 5)])
    scene.rig.apply(...plain(21, 2))

    scene.refused = new Set(names(5))
    for (const family of scene.rig.families) family.distrust('leftOut')
    await scene.settle()
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(5), names(5)])
    await scene.equals(layout, without(5))
  })

  it('come in when they change into what is not refused', async () => {
    const scene = new Scene(variant, layout)
    scene.tells = tells
    scene.rig.apply(...cluster, ...simple)
    await scene.rig.mustSync()
    scene.refused = new Set(names(1, 8))
    scene.rig.apply(...all)
    expect(await scene.rig.sync()).toMatchObject({ code: 'rejected' })
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(1, 8), names(1, 8)])
    await scene.equals(layout, without(1, 8))
    scene.refused = new Set(names(8))
    scene.rig.apply(drop(names(1)[0] ?? ''))
    await scene.rig.mustSync()
    scene.rig.apply(...elaborate(1))
    await scene.rig.mustSync()
    expect(scene.leftOut()).toEqual([names(8), names(8)])
    await scene.equals(layout, without(8))
  })
})
