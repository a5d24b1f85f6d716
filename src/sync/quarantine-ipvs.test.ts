import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { cluster, drop, nodeAddresses, plain, put, withEndpoints } from '../../test/kernel/sync-cluster.ts'
import { dumpServers } from '../../test/kernel/sync-ipvs-dump.ts'
import { fakeServerKernel } from '../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../test/kernel/sync-ipvs-rig.ts'
import { cidr, ip, port, service, servicePort } from '../../test/property/track-objects.ts'
import type { IpvsChange } from '../kernel/ipvs/ipvs.ts'
import { changeLine } from '../kernel/ipvs/names.ts'
import { KernelError } from '../kernel/netlink/error.ts'
import type { ModelChange } from '../model/change.ts'
import type { IP } from '../model/ip.ts'

const { EINVAL, ENOMEM } = constants.errno

/** A Service with something in every set and at every kind of address. */
const elaborate = (n: number): readonly ModelChange[] => [
  put(
    service(`ns/elaborate-${n}`, {
      clusterIPs: [ip(`10.96.1.${n}`), ip(`fd00::1:${n}`)],
      loadBalancerIPs: [ip(`198.51.100.${n}`), ip(`2001:db8::1:${n}`)],
      sourceRanges: [cidr('192.0.2.0/24'), cidr('2001:db8::/32')],
      externalPolicy: 'Local',
      healthCheckNodePort: port(31_000 + n),
      ports: [servicePort({ nodePort: port(30_100 + n) })],
    }),
  ),
  ...withEndpoints(`elaborate-${n}`, 100 + n, 3),
]

const all = [...cluster, ...plain(20), ...plain(21), ...[1, 2, 3, 4, 5, 6].flatMap(elaborate)]
const without = (...numbers: readonly number[]): readonly ModelChange[] => [
  ...all,
  ...numbers.map((n) => drop(`ns/elaborate-${n}`)),
]
const names = (...numbers: readonly number[]): readonly string[] => numbers.map((n) => `ns/elaborate-${n}`)

class Scene {
  readonly kernel = fakeServerKernel()
  readonly rig = new IpvsRig({ kernel: this.kernel })

  constructor() {
    this.rig.setAddresses(nodeAddresses)
  }

  /** The kernel refuses one endpoint of these Services, with these words. */
  refuse(...numbers: readonly number[]): void {
    this.kernel.ipvs.refuse({
      matches: (change: IpvsChange) =>
        change.kind === 'addRealServer' &&
        numbers.some((n) => change.server.ip === `10.0.${100 + n}.2` || change.server.ip === `fd01:${100 + n}::2`),
      errno: EINVAL,
      detail: 'no such host',
    })
  }

  async settle(): Promise<void> {
    for (let tries = 0; (await this.rig.sync()) !== undefined; tries++) expect(tries).toBeLessThan(3)
  }

  leftOut(): readonly unknown[] {
    return this.rig.families.map((family) => [...family.leftOut().keys()].sort())
  }

  /** As if nothing had ever been refused; without the Services named. */
  async equals(changes: readonly ModelChange[]): Promise<void> {
    const kernel = fakeServerKernel()
    const fresh = new IpvsRig({ kernel })
    fresh.setAddresses(nodeAddresses)
    fresh.apply(...changes)
    await fresh.mustSync()
    await this.rig.timers.advance(10_000)
    expect(await dumpServers(this.kernel)).toEqual(await dumpServers(kernel))
    expect(this.rig.backends.map((backend) => backend.counts())).toEqual(
      fresh.backends.map((backend) => backend.counts()),
    )
    this.rig.close()
    fresh.close()
  }
}

describe('Services of which the kernel refuses something', () => {
  it('are left out, with the kernel’s words; everything else is there at once', async () => {
    const scene = new Scene()
    scene.refuse(3, 5)
    scene.rig.apply(...all)
    const error = await scene.rig.sync()
    expect(error).toMatchObject({ code: 'rejected', op: 'change virtual servers', tag: 'ns/elaborate-3' })
    expect(String(error)).toContain('-r 10.0.103.2:8080 -m -w 1: EINVAL: no such host')
    const { servers } = await dumpServers(scene.kernel)
    expect(servers['-A -t 10.96.0.20:80 -s rr'], 'others do not wait').toHaveLength(3)
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(3, 5), names(3, 5)])
    const problems = scene.rig.of('problem').map(({ problem }) => problem)
    expect(problems).toContainEqual({
      object: { kind: 'Service', namespace: 'ns', name: 'elaborate-3' },
      field: 'spec',
      reason: expect.stringContaining('no such host'),
    })
    await scene.equals(without(3, 5))
  })

  it('do not disturb when they come to others', async () => {
    const scene = new Scene()
    scene.rig.apply(...cluster, ...plain(20))
    await scene.rig.mustSync()
    scene.refuse(2)
    scene.rig.journal.begin()
    scene.rig.apply(...plain(21), ...elaborate(1), ...elaborate(2))
    expect(await scene.rig.sync()).toMatchObject({ code: 'rejected', tag: 'ns/elaborate-2' })
    const { servers } = await dumpServers(scene.kernel)
    expect(servers['-A -t 10.96.0.21:80 -s rr']).toHaveLength(3)
    expect(Object.keys(servers).join(), 'nothing of it is left').not.toContain('10.96.1.2:')
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(2), names(2)])
    await scene.equals([...cluster, ...plain(20), ...plain(21), ...elaborate(1)])
  })

  it('come in when they change, or when the kernel does', async () => {
    const scene = new Scene()
    scene.refuse(3, 5)
    scene.rig.apply(...all)
    await scene.settle()
    await scene.settle()
    scene.rig.apply(...withEndpoints('elaborate-3', 103, 1))
    await scene.rig.mustSync()
    expect(scene.leftOut()).toEqual([names(5), names(5)])
    scene.refuse()
    for (const family of scene.rig.families) family.distrust('leftOut')
    await scene.rig.mustSync()
    expect(scene.leftOut()).toEqual([[], []])
    await scene.equals([...all, ...withEndpoints('elaborate-3', 103, 1)])
  })

  it('may be refused an address', async () => {
    const scene = new Scene()
    const refused: IP = ip('198.51.100.4')
    scene.kernel.route.refuse(refused, KernelError.ofErrno('add address', EINVAL, { detail: 'bad address' }))
    scene.rig.apply(...all)
    expect(await scene.rig.sync()).toMatchObject({ code: 'rejected', tag: 'ns/elaborate-4' })
    await scene.settle()
    expect(scene.leftOut()).toEqual([names(4), []])
    scene.rig.close()
  })
})

describe('failures that are nobody’s', () => {
  it('are tried again, and blame no Service', async () => {
    const scene = new Scene()
    scene.rig.apply(...all)
    await scene.rig.mustSync()
    for (const error of [
      new KernelError({ code: 'overflow', op: 'change virtual servers' }),
      new KernelError({ code: 'io', op: 'change virtual servers' }),
    ]) {
      scene.kernel.ipvs.failNext(error)
      scene.rig.apply(...plain(22))
      expect(await scene.rig.sync()).toBe(error)
      await scene.rig.mustSync()
      expect(scene.leftOut()).toEqual([[], []])
      scene.rig.apply(drop('ns/plain-22'))
      await scene.rig.mustSync()
    }
    scene.kernel.ipvs.refuse({ matches: ({ kind }) => kind === 'addRealServer', errno: ENOMEM })
    scene.rig.apply(...plain(22))
    expect(await scene.rig.sync()).toMatchObject({ code: 'io' })
    expect(await scene.rig.sync()).toMatchObject({ code: 'io' })
    scene.kernel.ipvs.refuse()
    await scene.rig.mustSync()
    expect(scene.leftOut()).toEqual([[], []])
    scene.rig.close()
  })

  it('make no difference when somebody else was there first', async () => {
    const scene = new Scene()
    scene.rig.apply(...all)
    await scene.rig.mustSync()
    const server = { persistenceSeconds: 0, persistencePrefix: 32, flags: [], scheduler: 'wlc' }
    const id = { kind: 'address', protocol: 'TCP', ip: ip('10.96.0.22'), port: 80 } as const
    await scene.kernel.ipvs.apply(
      [{ kind: 'addVirtualServer', server: { ...server, id } }],
      new AbortController().signal,
    )
    scene.rig.apply(...plain(22))
    expect(await scene.rig.sync()).toMatchObject({ code: 'stale' })
    await scene.rig.mustSync()
    expect(scene.leftOut()).toEqual([[], []])
    await scene.equals([...all, ...plain(22)])
  })
})

describe('a scheduler that the kernel lacks', () => {
  const scheduled = (n: number, scheduler: 'mh' | 'wlc' | 'random'): ModelChange =>
    put(
      service(`ns/plain-${n}`, {
        clusterIPs: [ip(`10.96.0.${n}`), ip(`fd00::${n}`)],
        scheduling: { scheduler, flags: ['mh-port'], weights: undefined },
      }),
    )

  it('is replaced at once, and reported once per Service until it is asked for again', async () => {
    const kernel = fakeServerKernel({ schedulers: ['rr', 'wlc'] })
    const rig = new IpvsRig({ kernel })
    rig.apply(...plain(1), ...plain(2), scheduled(1, 'mh'), scheduled(2, 'wlc'))
    await rig.mustSync()
    const { servers } = await dumpServers(kernel)
    expect(servers['-A -t 10.96.0.1:80 -s rr'], 'with its endpoints').toHaveLength(3)
    expect(servers['-A -t 10.96.0.2:80 -s wlc']).toHaveLength(3)
    const problem = (n: number) => ({
      object: { kind: 'Service', namespace: 'ns', name: `plain-${n}` },
      field: 'metadata.annotations[weir.dev/scheduler]',
      reason: 'this kernel has no scheduler "mh" (module ip_vs_mh), so "rr" is used',
    })
    expect(rig.problems).toEqual([problem(1)])

    rig.apply(scheduled(2, 'mh'))
    rig.journal.begin()
    await rig.mustSync()
    expect(rig.problems, 'known by now').toEqual([problem(1), problem(2)])
    expect(rig.journal.lines).toEqual(['-E -t 10.96.0.2:80 -s rr', '-E -t [fd00::2]:80 -s rr'])
    for (const family of rig.families) family.distrust('periodic')
    rig.journal.begin()
    await rig.mustSync()
    expect([rig.problems.length, rig.journal.lines]).toEqual([2, []])

    rig.apply(scheduled(1, 'random'))
    await rig.mustSync()
    rig.apply(scheduled(1, 'mh'))
    await rig.mustSync()
    expect(rig.problems).toEqual([problem(1), problem(2), problem(1)])
    expect(rig.families.map((family) => family.leftOut().size)).toEqual([0, 0])
    rig.close()
  })

  it('is replaced where the virtual server was there, too', async () => {
    const kernel = fakeServerKernel({ schedulers: ['rr', 'wlc'] })
    const rig = new IpvsRig({ kernel })
    rig.apply(...plain(1))
    await rig.mustSync()
    rig.apply(scheduled(1, 'mh'))
    rig.journal.begin()
    await rig.mustSync()
    const edits = kernel.ipvs.applied.map(changeLine).filter((line) => line.startsWith('-E'))
    expect(edits).toEqual(['-E -t 10.96.0.1:80 -s rr', '-E -t [fd00::1]:80 -s rr'])
    expect(rig.problems).toHaveLength(1)
    rig.close()
  })

  it('is everyone’s when it is the default', async () => {
    const kernel = fakeServerKernel({ schedulers: ['wlc'] })
    const rig = new IpvsRig({ kernel })
    rig.apply(...plain(1))
    expect(await rig.sync()).toMatchObject({ code: 'rejected', tag: 'ns/plain-1' })
    rig.close()
  })
})
