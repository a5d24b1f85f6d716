import { beforeEach, describe, expect, it } from 'vitest'
import { settle, TestClock } from '../../../test/kernel/sync-clock.ts'
import { fakeServerKernel } from '../../../test/kernel/sync-ipvs-kernel.ts'
import { IpvsRig } from '../../../test/kernel/sync-ipvs-rig.ts'
import { never } from '../../../test/kernel/sync-rig.ts'
import {
  endpoint,
  endpointPort,
  ip,
  key,
  port,
  service,
  servicePort,
  slice,
} from '../../../test/property/track-objects.ts'
import type { VirtualServerId } from '../../kernel/ipvs/ipvs.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import type { ModelChange } from '../../model/change.ts'
import { defaultConnections } from '../../model/connections.ts'
import { flowEnd } from '../../model/flow.ts'
import type { Protocol } from '../../model/protocol.ts'
import type { IpvsSettings } from './settings.ts'

const web = (protocol: Protocol = 'TCP', weights?: ReadonlyMap<string, number>): ModelChange => ({
  kind: 'service',
  key: key('ns/web'),
  value: service('ns/web', {
    ports: [servicePort({ protocol })],
    scheduling: { scheduler: 'random', flags: [], weights },
  }),
})
const gone: ModelChange = { kind: 'service', key: key('ns/web'), value: undefined }

const pods = (...digits: readonly number[]): ModelChange => {
  const value = slice(
    'ns/web-1',
    digits.map((digit) => endpoint(`10.0.0.${digit}`)),
    {
      ports: (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => endpointPort({ protocol })),
    },
  )
  return { kind: 'slice', key: value.key, value }
}

let kernel: ReturnType<typeof fakeServerKernel>
let rig: IpvsRig
let timers: TestClock

const begin = (over: Partial<IpvsSettings> = {}): void => {
  timers = new TestClock()
  rig = new IpvsRig({ kernel, timers, over })
}
beforeEach(() => {
  kernel = fakeServerKernel()
  begin()
  return () => {
    rig.close()
    expect(rig.errors).toEqual([])
  }
})

const id = (protocol: Protocol = 'TCP'): VirtualServerId => ({
  kind: 'address',
  protocol,
  ip: ip('10.96.0.1'),
  port: 80,
})

const connect = (digit: number, active: number, inactive = 0, protocol: Protocol = 'TCP'): void =>
  kernel.ipvs.setConnections(id(protocol), { ip: ip(`10.0.0.${digit}`), port: 8080 }, { active, inactive })

/** `1:0` = 10.0.0.1 has weight 0. */
const weights = async (protocol: Protocol = 'TCP'): Promise<readonly string[]> =>
  (await kernel.ipvs.realServers(id(protocol), never))
    .map((server) => `${server.ip.replace('10.0.0.', '')}:${server.weight}`)
    .sort()

const sync = async (...changes: readonly ModelChange[]): Promise<void> => {
  rig.apply(...changes)
  await rig.mustSync()
  await settle()
}
const draining = (): number | undefined => rig.backends[0]?.counts().get('draining-real-servers')

describe('a real server that is removed', () => {
  it('keeps its connections, gets nothing new, and goes some seconds after the last of them', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 3, 1)
    await sync(pods(1))
    expect(await weights()).toEqual(['1:1', '2:0'])
    expect(draining()).toBe(1)
    await timers.advance(60_000)
    connect(2, 0, 1)
    await timers.advance(60_000)
    expect(await weights(), 'connections that are being closed count').toEqual(['1:1', '2:0'])
    connect(2, 0)
    await timers.advance(4_000)
    expect(await weights()).toEqual(['1:1'])
    expect(draining()).toBe(0)
  })

  it('goes at once when it has none', async () => {
    await sync(web(), pods(1, 2))
    await sync(pods(1))
    expect(await weights()).toEqual(['1:1'])
  })

  it('of UDP goes at once, of SCTP as of TCP', async () => {
    await sync(web('UDP'), pods(1, 2))
    connect(2, 0, 5, 'UDP')
    rig.journal.begin()
    await sync(pods(1))
    expect(rig.journal.lines).toEqual(['-d -u 10.96.0.1:80 -r 10.0.0.2:8080'])
    await sync(gone, web('SCTP'), pods(1, 2))
    connect(2, 1, 0, 'SCTP')
    await sync(pods(1))
    expect(await weights('SCTP')).toEqual(['1:1', '2:0'])
    const [state] = rig.desired.states('IPv4', key('ns/web'))
    expect(state && rig.backends[0]?.flowTargets(state), 'its entries of conntrack are not stale').toEqual({
      kind: 'sockets',
      sockets: [{ address: '10.0.0.2', port: 8080 }],
    })
  })

  it('answers clients itself: conntrack does not see that', async () => {
    const connections = { ...defaultConnections, forwarding: 'direct' } as const
    const direct = service('ns/web', { connections, ports: [servicePort({ port: port(8080) })] })
    await sync({ kind: 'service', key: direct.key, value: direct }, pods(1))
    const [state] = rig.desired.states('IPv4', key('ns/web'))
    expect(state && rig.backends[0]?.flowTargets(state)).toEqual({ kind: 'unknown' })
    await sync(web())
    const [plain] = rig.desired.states('IPv4', key('ns/web'))
    expect(plain && rig.backends[0]?.flowTargets(plain)).toBeUndefined()
  })

  it('goes after the limit with all of its connections', async () => {
    rig.close()
    begin({ drainMs: 30_000 })
    await sync(web(), pods(1, 2, 3))
    connect(2, 1)
    connect(3, 1)
    await sync(pods(1, 3))
    await timers.advance(20_000)
    await sync(pods(1))
    await timers.advance(9_000)
    expect(await weights()).toEqual(['1:1', '2:0', '3:0'])
    await timers.advance(4_000)
    expect(await weights(), 'each has a limit of its own').toEqual(['1:1', '3:0'])
    await timers.advance(20_000)
    expect(await weights()).toEqual(['1:1'])
  })

  it('goes with its connections when these are to end, and without a limit', async () => {
    await sync(web(), pods(1, 2, 3))
    connect(2, 3)
    connect(3, 3)
    await sync(pods(1))
    const [state] = rig.desired.states('IPv4', key('ns/web'))
    const end = (...digits: readonly number[]): void => {
      if (state === undefined) throw new TypeError('no service port')
      rig.backends[0]?.endConnections(
        state.id,
        digits.map((digit) => flowEnd(ip(`10.0.0.${digit}`), 8080)),
      )
    }
    end(1, 2, 9)
    await settle()
    expect(await weights(), 'of those that drain, and at once').toEqual(['1:1', '3:0'])
    await sync(pods(1, 3))
    end(3)
    await timers.advance(60_000)
    expect(await weights(), 'not of one that is back').toEqual(['1:1', '3:1'])
    await sync(pods(1))
    await timers.advance(60_000)
    expect(await weights(), 'nor later').toEqual(['1:1', '3:0'])
  })

  it('that comes back is raised again and never deleted, with its new weight', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 3)
    await sync(pods(1))
    await timers.advance(10_000)
    rig.journal.begin()
    await sync(pods(1, 2), web('TCP', new Map([['10.0.0.2', 5]])))
    expect(rig.journal.lines).toEqual(['-e -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 5'])
    connect(2, 0)
    await timers.advance(60_000)
    expect(await weights(), 'and drains no more').toEqual(['1:1', '2:5'])
  })

  it('that comes back to be drained for good is left alone: no limit, whatever its connections', async () => {
    rig.close()
    begin({ drainMs: 5_000 })
    await sync(web(), pods(1, 2))
    connect(2, 3)
    await sync(pods(1))
    rig.journal.begin()
    await sync(pods(1, 2), web('TCP', new Map([['10.0.0.2', 0]])))
    expect(rig.journal.lines).toEqual([])
    connect(2, 0)
    await timers.advance(60_000)
    expect(await weights()).toEqual(['1:1', '2:0'])
  })

  it('goes with its virtual server when that goes: the address may be another’s next', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 3)
    await sync(pods(1))
    await sync(gone)
    expect(await kernel.ipvs.virtualServers(never)).toEqual([])
    expect(draining()).toBe(0)
  })
})

describe('after a restart', () => {
  it('what drains goes on draining, with its limit anew, and what is not wanted begins to', async () => {
    await sync(web(), pods(1, 2, 3))
    for (const digit of [1, 2, 3]) connect(digit, 1)
    await sync(pods(1, 3))
    await timers.advance(10_000)
    rig.close()
    begin({ drainMs: 20_000 })
    rig.journal.begin()
    await sync(web(), pods(1))
    expect(rig.journal.lines).toEqual(['-e -t 10.96.0.1:80 -r 10.0.0.3:8080 -m -w 0'])
    expect(await weights()).toEqual(['1:1', '2:0', '3:0'])
    await timers.advance(15_000)
    connect(3, 0)
    await timers.advance(4_000)
    expect(await weights()).toEqual(['1:1', '2:0'])
    await timers.advance(4_000)
    expect(await weights()).toEqual(['1:1'])
  })

  it('an endpoint that came back meanwhile is raised, its connections intact', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 1)
    await sync(pods(1))
    rig.close()
    begin()
    rig.journal.begin()
    await sync(web(), pods(1, 2))
    expect(rig.journal.lines).toEqual(['-e -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 1'])
  })
})

describe('checks', () => {
  it('ask about virtual servers that have draining ones, and about no others', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 1)
    const other: ModelChange = {
      kind: 'service',
      key: key('ns/other'),
      value: service('ns/other', { clusterIPs: [ip('10.96.0.2')] }),
    }
    await sync(pods(1), other)
    const asked: VirtualServerId[] = []
    const { realServers } = kernel.ipvs
    kernel.ipvs.realServers = (each, signal) => {
      asked.push(each)
      return realServers.call(kernel.ipvs, each, signal)
    }
    await timers.advance(30_000)
    expect(asked.length).toBeGreaterThan(5)
    expect(new Set(asked.map((each) => JSON.stringify(each))).size).toBe(1)
    connect(2, 0)
    await timers.advance(4_000)
    asked.length = 0
    await timers.advance(60_000)
    expect(asked, 'nothing drains any more').toEqual([])
  })

  it('that fail are made again', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 1)
    await sync(pods(1))
    connect(2, 0)
    kernel.ipvs.failNext(new KernelError({ code: 'io', op: 'list' }))
    await timers.advance(4_000)
    await rig.mustSync()
    await timers.advance(8_000)
    expect(await weights()).toEqual(['1:1'])
    expect(rig.errors.splice(0)).toHaveLength(1)
  })

  it('end with the backend', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 1)
    await sync(pods(1))
    connect(2, 0)
    rig.close()
    await timers.advance(60_000)
    expect(await weights()).toEqual(['1:1', '2:0'])
  })

  it('never run beside a change: a change goes first', async () => {
    await sync(web(), pods(1, 2))
    connect(2, 1)
    await sync(pods(1))
    connect(2, 0)
    // The look at connections is under way when the endpoint comes back.
    let release = (): void => {}
    const { realServers } = kernel.ipvs
    kernel.ipvs.realServers = async (each, signal) => {
      const found = await realServers.call(kernel.ipvs, each, signal)
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return found
    }
    await timers.advance(3_500)
    rig.journal.begin()
    rig.apply(pods(1, 2))
    const syncing = rig.mustSync()
    await settle()
    kernel.ipvs.realServers = realServers
    release()
    await syncing
    await timers.advance(10_000)
    expect(rig.journal.lines).toEqual(['-e -t 10.96.0.1:80 -r 10.0.0.2:8080 -m -w 1'])
  })
})
