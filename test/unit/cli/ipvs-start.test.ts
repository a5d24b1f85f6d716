import { describe, expect, it } from 'vitest'
import { ipvsCapabilities } from '../../../src/backends/ipvs/backend.ts'
import { FatalError } from '../../../src/cli/fatal.ts'
import { prepareIpvsNode } from '../../../src/cli/prepare-ipvs.ts'
import { defaultSchedulerOf } from '../../../src/cli/settings.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { FakeIpvs } from '../../../src/kernel/ipvs/fake-ipvs.ts'
import { KernelError } from '../../../src/kernel/netlink/error.ts'
import { FakeSysctl } from '../../../src/kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../../src/kernel/sysctl/sysctl-error.ts'

import { defaultConnections } from '../../../src/model/connections.ts'
import { nothingRequested, type Scheduler } from '../../../src/model/scheduling.ts'
import { CapabilityReports } from '../../../src/sync/capability-reports.ts'
import { Tracker } from '../../../src/track/tracker.ts'
import { service } from '../../property/track-objects.ts'

const { signal } = new AbortController()

const values = {
  'kernel/osrelease': '6.1.0',
  'net/ipv4/vs/conntrack': 0,
  'net/ipv4/vs/expire_nodest_conn': 1,
  'net/ipv4/vs/expire_quiescent_template': 1,
  'net/ipv4/ip_forward': 1,
}

const start = (ipvs: FakeIpvs, sysctl: FakeSysctl, ...flags: readonly string[]) => {
  const { config } = loadConfig(parseCommandLine(['--proxy-mode=ipvs', ...flags]), undefined)
  const warnings: string[] = []
  const done = prepareIpvsNode(config, { ipvs, sysctl, warn: (line) => void warnings.push(line) }, signal)
  return { done, warnings }
}

describe('the start of mode ipvs', () => {
  it('says what it has set up', async () => {
    const ipvs = new FakeIpvs()
    const flags = ['--ipvs-tcp-timeout=90s', '--ipvs-tcpfin-timeout=10ms', '--ipvs-udp-timeout=2.9s']
    const { done, warnings } = start(ipvs, new FakeSysctl(values), ...flags)
    expect(await done).toEqual([
      'net.ipv4.vs.conntrack is 1',
      'net.ipv4.vs.expire_nodest_conn is 1',
      'net.ipv4.vs.expire_quiescent_template is 1',
      'net.ipv4.ip_forward is 1',
    ])
    expect(await ipvs.timeouts(signal)).toEqual({ tcp: 90, tcpFin: 1, udp: 2 })
    expect(warnings).toEqual([])
  })

  it('goes on without timeouts that the kernel refuses', async () => {
    const { done, warnings } = start(new FakeIpvs(), new FakeSysctl(values), '--ipvs-tcp-timeout=87600h')
    expect(await done).toHaveLength(4)
    expect(warnings).toEqual([expect.stringMatching(/^the timeouts of IPVS stay as they are: /)])
  })

  it.each([
    [new FakeIpvs({ available: false }), 'the kernel has no IPVS: module ip_vs cannot be loaded'],
    [new FakeIpvs({ schedulers: ['wlc'] }), 'the kernel has no scheduler "rr": module ip_vs_rr cannot be loaded'],
  ])('ends with one line where the kernel lacks something (%#)', async (ipvs, line) => {
    await expect(start(ipvs, new FakeSysctl(values)).done).rejects.toThrow(new FatalError(line))
  })

  it.each([
    ['random', 'the kernel has no scheduler "random": module ip_vs_random cannot be loaded'],
    ['nonsense', 'the kernel has no scheduler "nonsense": module ip_vs_nonsense cannot be loaded'],
  ])('ends where the configuration names no scheduler: %s', async (name, line) => {
    const { done } = start(new FakeIpvs(), new FakeSysctl(values), `--ipvs-scheduler=${name}`)
    await expect(done).rejects.toThrow(new FatalError(line))
  })

  it('ends without the right to it', async () => {
    const ipvs = new FakeIpvs()
    ipvs.failNext(new KernelError({ code: 'permission', op: 'read timeouts' }))
    await expect(start(ipvs, new FakeSysctl(values)).done).rejects.toThrow(
      new FatalError('no permission to change IPVS: CAP_NET_ADMIN is needed'),
    )
  })

  it('ends when a sysctl cannot be set, with a way out', async () => {
    const sysctl = new FakeSysctl(values)
    sysctl.write = (name, value) => Promise.reject(new SysctlError('denied', `write ${name} = ${value}`, 'EROFS'))
    await expect(start(new FakeIpvs(), sysctl).done).rejects.toThrow(
      new FatalError(
        'mode ipvs needs what cannot be set: write net/ipv4/vs/conntrack = 1: EROFS; --init-only in a privileged init container sets it beforehand',
      ),
    )
  })
})

describe('what a Service asks of mode ipvs', () => {
  const reported = (scheduler: Scheduler | undefined, ...flags: readonly string[]): readonly string[] => {
    const { config } = loadConfig(parseCommandLine(['--proxy-mode=ipvs', ...flags]), undefined)
    const reasons: string[] = []
    const reports = new CapabilityReports({
      capabilities: ipvsCapabilities,
      backend: 'ipvs',
      defaultScheduler: defaultSchedulerOf(config),
      report: ({ reason }) => void reasons.push(reason),
    })
    const tracker = new Tracker({ startedAt: 0 })
    const connections = { ...defaultConnections, forwarding: 'tunnel' } as const
    const value = service('ns/web', { scheduling: { ...nothingRequested, scheduler }, connections })
    tracker.apply([{ kind: 'service', key: value.key, value }])
    reports.check(value.key, tracker)
    return reasons
  }

  it('is every scheduler and way to forward; random is none of the kernel', () => {
    expect(reported(undefined)).toEqual([])
    expect(reported('twos')).toEqual([])
    expect(reported('random')).toEqual(['the ipvs backend cannot do "random", so "rr" is used'])
    expect(reported('random', '--ipvs-scheduler=mh')).toEqual(['the ipvs backend cannot do "random", so "mh" is used'])
  })
})
