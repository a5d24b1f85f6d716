import { beforeEach, describe, expect, it } from 'vitest'
import { settle, TestClock } from '../../../test/kernel/sync-clock.ts'
import { cluster, drop, nodeAddresses, plain } from '../../../test/kernel/sync-cluster.ts'
import { TestWatch } from '../../../test/kernel/sync-iptables-faults.ts'
import { dumpServers, type ServersDump } from '../../../test/kernel/sync-ipvs-dump.ts'
import { fakeServerKernel } from '../../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../../test/kernel/sync-ipvs-rig.ts'
import { never } from '../../../test/kernel/sync-rig.ts'
import { ip, port } from '../../../test/property/track-objects.ts'
import { ipPort } from '../../kernel/ipset/member.ts'
import type { IpvsChange, RealServer, VirtualServerId } from '../../kernel/ipvs/ipvs.ts'

let kernel: ReturnType<typeof fakeServerKernel>
let rig: IpvsRig
let timers: TestClock
let watch: TestWatch
let before: ServersDump

beforeEach(async () => {
  kernel = fakeServerKernel()
  timers = new TestClock()
  watch = new TestWatch()
  rig = new IpvsRig({ kernel, timers, watch })
  rig.setAddresses(nodeAddresses)
  rig.apply(...cluster)
  await rig.mustSync()
  await settle()
  before = await dumpServers(kernel)
  return () => {
    rig.close()
    expect(rig.errors).toEqual([])
  }
})

const id: VirtualServerId = { kind: 'address', protocol: 'TCP', ip: ip('10.96.0.1'), port: 80 }
const meddle = async (...changes: readonly IpvsChange[]): Promise<void> => {
  expect(await kernel.ipvs.apply(changes, never)).toEqual([])
}
const clusterIPs = { name: 'KUBE-CLUSTER-IP', type: 'hash:ip,port', family: 'IPv4' } as const

describe('what others do is found within seconds, told once, and undone', () => {
  it.each<readonly [string, () => Promise<unknown>]>([
    ['a virtual server is deleted', () => meddle({ kind: 'deleteVirtualServer', id })],
    [
      'all of them are',
      async () => {
        for (const server of await kernel.ipvs.virtualServers(never))
          await meddle({ kind: 'deleteVirtualServer', id: server.id })
      },
    ],
    [
      'a scheduler is changed',
      () =>
        meddle({
          kind: 'setVirtualServer',
          server: { id, scheduler: 'lc', flags: [], persistenceSeconds: 0, persistencePrefix: 32 },
        }),
    ],
    ['kube-ipvs0 is deleted', () => kernel.route.deleteLink('kube-ipvs0', never)],
    [
      'an address is deleted',
      () => kernel.route.changeAddresses('kube-ipvs0', { add: [], remove: [ip('10.96.0.1')] }, never),
    ],
    ['a member is deleted', () => kernel.ipset.remove(clusterIPs, [ipPort(ip('10.96.0.1'), 'TCP', port(80))], never)],
    ['a member is added', () => kernel.ipset.add(clusterIPs, [ipPort(ip('10.96.0.99'), 'TCP', port(80))], never)],
  ])('%s', async (_, happens) => {
    await happens()
    await timers.advance(2_500)
    const told = new Set(rig.drifts.map(({ family }) => family))
    expect(told).toContain('IPv4')
    expect(rig.drifts.length, 'once a family').toBe(told.size)
    const [backend] = rig.backends
    expect(await backend?.untouched(never)).toBe(false)
    await timers.advance(10_000)
    expect(rig.drifts.length).toBe(told.size)
    await rig.mustSync()
    expect(await dumpServers(kernel)).toEqual(before)
    expect(await backend?.untouched(never)).toBe(true)
  })

  it('rules are watched by others', async () => {
    watch.trusts = false
    await timers.advance(2_500)
    expect(rig.drifts).toHaveLength(2)
  })
})

describe('what a look leaves out is found every sync period', () => {
  const real = (address: string, weight: number): RealServer => ({
    ...{ ip: ip(address), port: 8080, forwarding: 'masquerade', weight, upperThreshold: 0, lowerThreshold: 0 },
  })
  const other = ipPort(ip('10.96.0.99'), 'TCP', port(80))
  it.each<readonly [string, () => Promise<unknown>]>([
    ['a weight is changed', () => meddle({ kind: 'setRealServer', id, server: real('10.0.1.1', 5) })],
    ['a real server is deleted', () => meddle({ kind: 'deleteRealServer', id, server: real('10.0.1.1', 1) })],
    ['one is added', () => meddle({ kind: 'addRealServer', id, server: real('10.9.9.9', 1) })],
    [
      'a member is exchanged for another',
      async () => {
        await kernel.ipset.remove(clusterIPs, [ipPort(ip('10.96.0.1'), 'TCP', port(80))], never)
        await kernel.ipset.add(clusterIPs, [other], never)
      },
    ],
  ])('%s', async (_, happens) => {
    const [backend] = rig.backends
    expect(await backend?.untouched(never)).toBe(true)
    await happens()
    expect(await backend?.untouched(never)).toBe(false)
    rig.loop.distrust('IPv4', 'periodic')
    await rig.mustSync()
    expect(await dumpServers(kernel)).toEqual(before)
    expect(await backend?.untouched(never)).toBe(true)
  })

  it('but not what drains, nor that it has gone', async () => {
    const [backend] = rig.backends
    kernel.ipvs.setConnections(id, real('10.0.1.3', 1), { active: 1 })
    rig.apply(...plain(1, 2))
    await rig.mustSync()
    expect((await kernel.ipvs.realServers(id, never)).some(({ weight }) => weight === 0)).toBe(true)
    expect(await backend?.untouched(never)).toBe(true)
    await meddle({ kind: 'setRealServer', id, server: real('10.0.1.3', 1) })
    expect(await backend?.untouched(never)).toBe(false)
    await meddle({ kind: 'deleteRealServer', id, server: real('10.0.1.3', 1) })
    expect(await backend?.untouched(never)).toBe(true)
  })
})

describe('nothing is told', () => {
  it('of our own doing', async () => {
    rig.apply(...plain(7), drop('ns/sticky'))
    await rig.mustSync()
    await settle()
    await timers.advance(10_000)
    expect(rig.drifts).toEqual([])
  })

  it('of what is not ours', async () => {
    const foreign = { ...id, ip: ip('198.51.100.9') }
    await meddle({
      kind: 'addVirtualServer',
      server: { id: foreign, scheduler: 'wlc', flags: [], persistenceSeconds: 0, persistencePrefix: 32 },
    })
    await kernel.route.changeAddresses('kube-ipvs0', { add: [ip('198.51.100.9')], remove: [] }, never)
    await kernel.route.changeAddresses('kube-ipvs0', { add: [], remove: [ip('198.51.100.9')] }, never)
    await timers.advance(10_000)
    expect(rig.drifts).toEqual([])
  })
})

it.each([
  [10, 2_010],
  [20, 4_020],
  [100, 5_100],
  [1_000, 21_000],
])('a look that takes %d ms comes about every %d ms, and is never at real servers', async (tookMs, everyMs) => {
  let looks = 0
  kernel.ipvs.realServers = () => Promise.reject(new Error('not asked'))
  const { virtualServers } = kernel.ipvs
  kernel.ipvs.virtualServers = async (signal) => {
    looks++
    const found = await virtualServers.call(kernel.ipvs, signal)
    await timers.sleep(tookMs, new AbortController().signal)
    return found
  }
  await timers.advance(600_000)
  const each = looks / 2
  expect(each).toBeGreaterThan(0.9 * (600_000 / everyMs))
  expect(each).toBeLessThan(1.1 * (600_000 / everyMs))
})
