import { describe, expect, it } from 'vitest'
import { FatalError } from '../../../src/cli/fatal.ts'
import { prepareIpvsNode } from '../../../src/cli/prepare-ipvs.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { FakeIpvs } from '../../../src/kernel/ipvs/fake-ipvs.ts'
import { KernelError } from '../../../src/kernel/netlink/error.ts'
import { FakeSysctl } from '../../../src/kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../../src/kernel/sysctl/sysctl-error.ts'

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
