import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cluster, drop, nodeAddresses, plain, put } from '../../test/kernel/sync-cluster.ts'
import { dumpServers } from '../../test/kernel/sync-ipvs-dump.ts'
import { fakeServerKernel, type ServerKernel } from '../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../test/kernel/sync-ipvs-rig.ts'
import { finalObjects } from '../../test/kernel/sync-rig.ts'
import { anyLife, type Life, type Step } from '../../test/kernel/sync-world.ts'
import { ip, port, service, servicePort } from '../../test/property/track-objects.ts'
import type { FakeRoute } from '../kernel/route/fake-route.ts'
import type { ModelChange } from '../model/change.ts'
import { familyOf, type IP } from '../model/ip.ts'

type Kernel = ReturnType<typeof fakeServerKernel>

/** A node in which processes come and go. */
class Node {
  readonly kernel: Kernel = fakeServerKernel()
  readonly #life: Life
  readonly #history: ModelChange[] = []
  #addresses: readonly IP[] = []
  #rig: IpvsRig
  interrupted = 0
  restarts = 0
  partial = 0

  constructor(life: Life) {
    this.#life = life
    this.#rig = this.#process(this.kernel)
  }

  #process(kernel: ServerKernel): IpvsRig {
    const rig = new IpvsRig({ kernel, settings: this.#life.settings })
    rig.apply(...finalObjects(this.#history))
    rig.setAddresses(this.#addresses)
    return rig
  }

  async step(step: Step, n: number): Promise<void> {
    switch (step.kind) {
      case 'changes':
        this.#history.push(...step.batch)
        this.#rig.apply(...step.batch)
        return
      case 'addresses':
        this.#addresses = step.addresses
        await setAddresses(this.kernel.route, step.addresses)
        this.#rig.setAddresses(step.addresses)
        return
      case 'tidy':
        await this.#rig.tidy()
        await this.#rig.timers.advance(10_000)
        return
      case 'sync':
        await this.#sync(step, n)
    }
  }

  async #sync({ faults: [fault] }: Extract<Step, { readonly kind: 'sync' }>, n: number): Promise<void> {
    const { journal, told } = this.#rig
    const before = told.length
    journal.begin(fault === undefined ? undefined : (n * 7 + fault.at * 3) % 40)
    const error = await this.#rig.sync()
    if (error !== undefined && !journal.isOver) throw error
    this.partial += told
      .slice(before)
      .filter(({ name, event }) => name === 'applied' && 'kind' in event && event.kind === 'partial').length
    if (error !== undefined) this.interrupted++
    if (error !== undefined && fault?.kind !== 'lost') {
      this.restarts++
      this.#rig.close()
      this.#rig = this.#process(this.kernel)
    } else journal.begin()
  }

  /** All is written, and what drained has gone. */
  async end(): Promise<void> {
    this.#rig.journal.begin()
    await this.#rig.mustSync()
    await this.#rig.tidy()
    await this.#rig.timers.advance(10_000)
    this.#rig.close()
  }

  async successor(kernel: Kernel): Promise<IpvsRig> {
    if (kernel !== this.kernel) await setAddresses(kernel.route, this.#addresses)
    const rig = this.#process(kernel)
    await rig.mustSync()
    rig.close()
    return rig
  }

  counts(): unknown {
    return this.#rig.backends.map((backend) => backend.counts())
  }
}

const setAddresses = async (route: FakeRoute, ips: readonly IP[]): Promise<void> => {
  const kept = (await route.listAddresses(new AbortController().signal)).filter(
    (each) => each.interface === 'kube-ipvs0',
  )
  const own = ips.map((ip) => ({
    ...{ ip, family: familyOf(ip), interface: 'eth0', index: 2, scope: 'global' as const, loopback: false },
  }))
  route.setAddresses([...kept, ...own])
}

describe('any sequence of events, syncs, interruptions and restarts', () => {
  it('leaves what one full sync of the final objects writes on a clean node', async () => {
    let interrupted = 0
    let restarts = 0
    let partial = 0
    await fc.assert(
      fc.asyncProperty(anyLife(24), async (life) => {
        const node = new Node(life)
        for (const [n, step] of life.steps.entries()) await node.step(step, n)
        await node.end()
        const clean = fakeServerKernel()
        const fresh = await node.successor(clean)
        expect(await dumpServers(node.kernel)).toEqual(await dumpServers(clean))
        expect(node.counts()).toEqual(fresh.backends.map((backend) => backend.counts()))

        const successor = await node.successor(node.kernel)
        expect(successor.journal.lines, 'a successor finds all done').toEqual([])
        interrupted += node.interrupted
        restarts += node.restarts
        partial += node.partial
      }),
      { seed: 20_261_120, numRuns: 100, endOnFailure: true },
    )
    expect(interrupted).toBeGreaterThan(60)
    expect(restarts).toBeGreaterThan(40)
    expect(partial).toBeGreaterThan(400)
  }, 240_000)
})

describe('a process that is killed', () => {
  const from = cluster
  const to = [
    drop('ns/sticky'),
    drop('ns/local'),
    ...plain(1, 2),
    ...plain(8, 3),
    put(
      service('ns/turns', {
        ...{ clusterIPs: [ip('10.96.0.3'), ip('fd00::3')], loadBalancerIPs: [ip('203.0.113.1'), ip('2001:db8::1')] },
        ...{ externalPolicy: 'Local', ports: [servicePort({ nodePort: port(30_003) })] },
      }),
    ),
  ]
  const process = (kernel: ServerKernel, ...changes: readonly ModelChange[]): IpvsRig => {
    const rig = new IpvsRig({ kernel })
    rig.setAddresses(nodeAddresses)
    rig.apply(...from, ...changes)
    return rig
  }
  const node = async (): Promise<Kernel> => {
    const kernel = fakeServerKernel()
    await setAddresses(kernel.route, nodeAddresses)
    return kernel
  }

  it.each([
    ['a cold start', false],
    ['a change', true],
  ])(
    'after any step of %s leaves nothing that the next one does not put right',
    async (_, warm) => {
      const clean = await node()
      const fresh = process(clean, ...to)
      await fresh.mustSync()
      fresh.close()
      const wanted = await dumpServers(clean)
      let steps = Number.POSITIVE_INFINITY
      for (let killed = 0; killed < steps; killed++) {
        const kernel = await node()
        const victim = process(kernel, ...(warm ? [] : to))
        if (warm) {
          await victim.mustSync()
          victim.apply(...to)
        }
        victim.journal.begin(killed)
        const error = await victim.sync()
        if (error === undefined) steps = killed
        victim.close()
        const next = process(kernel, ...to)
        await next.mustSync()
        await next.timers.advance(10_000)
        next.close()
        expect(await dumpServers(kernel), `after ${killed} steps`).toEqual(wanted)
      }
      expect(steps).toBeGreaterThan(60)
    },
    120_000,
  )
})
