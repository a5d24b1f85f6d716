/** What tests can make the fake do. That it otherwise does what a kernel does is proved in test/kernel/uml-ipvs-client.test.ts. */
import { constants } from 'node:os'
import { expect, test } from 'vitest'
import { ip } from '../../../test/support/lvs.ts'
import { KernelError } from '../netlink/error.ts'
import { FakeIpvs } from './fake-ipvs.ts'
import type { IpvsChange, RealServer, VirtualServer, VirtualServerId } from './ipvs.ts'
import { changeLine } from './names.ts'

const { signal } = new AbortController()
const id: VirtualServerId = { kind: 'address', protocol: 'TCP', ip: ip('10.96.0.1'), port: 80 }
const server: VirtualServer = { id, scheduler: 'rr', flags: [], persistenceSeconds: 0, persistencePrefix: 32 }
const real: RealServer = {
  ...{ ip: ip('10.244.0.1'), port: 8080, forwarding: 'masquerade', weight: 1, upperThreshold: 0, lowerThreshold: 0 },
}
const add: IpvsChange = { kind: 'addVirtualServer', server }
const attach: IpvsChange = { kind: 'addRealServer', id, server: real }
const detach: IpvsChange = { kind: 'deleteRealServer', id, server: real }

test('tells what it took, and in how many datagrams', async () => {
  const fake = new FakeIpvs()
  expect(await fake.loaded(signal)).toBe(false)
  expect(await fake.apply([], signal)).toEqual([])
  expect(fake.datagrams).toBe(0)
  const refusals = await fake.apply([add, attach, attach, detach, attach], signal)
  expect(refusals.map(({ index, error }) => [index, error.code])).toEqual([[2, 'exists']])
  expect(fake.applied.map(changeLine)).toEqual([
    '-A -t 10.96.0.1:80 -s rr',
    '-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1',
    '-d -t 10.96.0.1:80 -r 10.244.0.1:8080',
    '-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1',
  ])
  expect(fake.datagrams).toBe(1)
  expect(await fake.loaded(signal)).toBe(true)
})

test('refuses what it is told to, until it is told otherwise', async () => {
  const fake = new FakeIpvs()
  const { ENOMEM } = constants.errno
  fake.refuse({ matches: ({ kind }) => kind === 'addRealServer', errno: ENOMEM, detail: 'no room' })
  const [refusal] = await fake.apply([add, attach], signal)
  expect(refusal).toMatchObject({ index: 1, error: { errno: ENOMEM, detail: 'no room', code: 'io' } })
  expect(await fake.realServers(id, signal)).toEqual([])
  fake.refuse()
  expect(await fake.apply([attach], signal)).toEqual([])
})

test('fails as often as it is told to, whatever is asked', async () => {
  const fake = new FakeIpvs()
  const [first, second] = ['overflow', 'permission'].map((code) => new Error(code))
  fake.failNext(first)
  fake.failNext(second)
  await expect(fake.apply([add], signal)).rejects.toBe(first)
  await expect(fake.virtualServers(signal)).rejects.toBe(second)
  expect(await fake.virtualServers(signal)).toEqual([])
})

test('connections are those of the real server, also when it was gone', async () => {
  const fake = new FakeIpvs()
  await fake.apply([add, attach], signal)
  fake.setConnections(id, real, { active: 2, inactive: 1 })
  expect(await fake.realServers(id, signal)).toMatchObject([{ active: 2, inactive: 1, persistent: 0 }])
  await fake.apply([detach, attach, { kind: 'setRealServer', id, server: { ...real, weight: 0 } }], signal)
  expect(await fake.realServers(id, signal)).toMatchObject([{ weight: 0, active: 2, inactive: 1 }])
  fake.setConnections(id, real, {})
  expect(await fake.realServers(id, signal)).toMatchObject([{ active: 0, inactive: 0 }])
})

test('has the schedulers that it is given, and none where there is no IPVS', async () => {
  const fake = new FakeIpvs({ schedulers: ['rr'] })
  const [refusal] = await fake.apply([{ kind: 'addVirtualServer', server: { ...server, scheduler: 'mh' } }], signal)
  expect(refusal?.error).toMatchObject({ code: 'notFound', errno: constants.errno.ENOENT })
  expect(refusal?.error.message).toBe('-A -t 10.96.0.1:80 -s mh: ENOENT')
  await expect(new FakeIpvs({ available: false }).virtualServers(signal)).rejects.toEqual(
    new KernelError({
      code: 'unsupported',
      op: 'list virtual servers',
      detail: 'the kernel has no IPVS: module ip_vs cannot be loaded',
    }),
  )
})

test('gives up when aborted', async () => {
  const fake = new FakeIpvs()
  const stopped = AbortSignal.abort(new Error('enough'))
  for (const run of [
    () => fake.loaded(stopped),
    () => fake.virtualServers(stopped),
    () => fake.realServers(id, stopped),
    () => fake.apply([], stopped),
    () => fake.apply([add], stopped),
    () => fake.timeouts(stopped),
    () => fake.setTimeouts({ tcp: 0, tcpFin: 0, udp: 0 }, stopped),
  ])
    await expect(run()).rejects.toThrow('enough')
  expect(fake.applied).toEqual([])
})
