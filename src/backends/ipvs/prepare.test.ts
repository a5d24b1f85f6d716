import { describe, expect, it } from 'vitest'
import { FakeIpvs } from '../../kernel/ipvs/fake-ipvs.ts'
import type { VirtualServer } from '../../kernel/ipvs/ipvs.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import { FakeSysctl } from '../../kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../kernel/sysctl/sysctl-error.ts'
import { parseIP } from '../../model/ip.ts'
import { type PrepareOptions, prepareIpvs } from './prepare.ts'

const { signal } = new AbortController()

const node = (release = '6.1.0-1') => ({
  'kernel/osrelease': release,
  'net/ipv4/vs/conntrack': 0,
  'net/ipv4/vs/conn_reuse_mode': 1,
  'net/ipv4/vs/expire_nodest_conn': 0,
  'net/ipv4/vs/expire_quiescent_template': 0,
  'net/ipv4/ip_forward': 1,
  'net/ipv4/conf/all/arp_ignore': 0,
  'net/ipv4/conf/all/arp_announce': 0,
})

const prepare = (over: Partial<PrepareOptions> = {}) => {
  const sysctl = new FakeSysctl(node())
  const ipvs = new FakeIpvs()
  const errors: unknown[] = []
  const options = {
    ...{ ipvs, sysctl, scheduler: 'rr', strictArp: false, timeouts: { tcp: 0, tcpFin: 0, udp: 0 } },
    onError: (error: unknown) => void errors.push(error),
    ...over,
  }
  return { sysctl, ipvs, errors, done: prepareIpvs(options, signal) }
}

const probeServer = (port = 20_000, scheduler = 'rr'): VirtualServer => {
  const ip = parseIP('198.51.100.0')
  if (ip === undefined) throw new TypeError('no address')
  const id = { kind: 'address', protocol: 'TCP', ip, port } as const
  return { id, scheduler, flags: [], persistenceSeconds: 0, persistencePrefix: 32 }
}

describe('sysctls', () => {
  it("are kube-proxy's; what is right is not written", async () => {
    const { sysctl, done } = prepare()
    expect(Object.fromEntries(await done)).toEqual({
      'net/ipv4/vs/conntrack': 1,
      'net/ipv4/vs/expire_nodest_conn': 1,
      'net/ipv4/vs/expire_quiescent_template': 1,
      'net/ipv4/ip_forward': 1,
    })
    expect(sysctl.writes.map(([name, value]) => `${name} ${value}`)).toEqual([
      'net/ipv4/vs/conntrack 1',
      'net/ipv4/vs/expire_nodest_conn 1',
      'net/ipv4/vs/expire_quiescent_template 1',
    ])
  })

  it.each([
    ['5.8.18', true],
    ['4.19.0-26-amd64', true],
    ['5.9.0', false],
    ['6.18.3', false],
  ])('reuse of ports in Linux %s', async (release, written) => {
    const sysctl = new FakeSysctl(node(release))
    await prepare({ sysctl }).done
    expect(await sysctl.read('net/ipv4/vs/conn_reuse_mode', signal)).toBe(written ? '0' : '1')
  })

  it('are stricter about ARP where that is asked for', async () => {
    const { sysctl, done } = prepare({ strictArp: true })
    await done
    expect(sysctl.writes.slice(-2)).toEqual([
      ['net/ipv4/conf/all/arp_ignore', '1'],
      ['net/ipv4/conf/all/arp_announce', '2'],
    ])
  })

  it('that cannot be set are an error', async () => {
    const sysctl = new FakeSysctl(node())
    sysctl.write = (name) => Promise.reject(new SysctlError('denied', `write ${name}`, 'EROFS'))
    await expect(prepare({ sysctl }).done).rejects.toThrow('write net/ipv4/vs/conntrack: EROFS')
  })
})

describe('timeouts', () => {
  it('are set where they are asked for and differ', async () => {
    const { ipvs, done } = prepare({ timeouts: { tcp: 600, tcpFin: 0, udp: 5 } })
    const before = await ipvs.timeouts(signal)
    await done
    expect(await ipvs.timeouts(signal)).toEqual({ tcp: 600, tcpFin: before.tcpFin, udp: 5 })
    const refusing = new FakeIpvs()
    refusing.setTimeouts = () => Promise.reject(new Error('nobody asked for it'))
    const { errors, done: again } = prepare({ ipvs: refusing, timeouts: { ...before, udp: 0 } })
    await again
    expect(errors).toEqual([])
  })

  it('that cannot be set are only told of', async () => {
    const ipvs = new FakeIpvs()
    const error = new Error('no')
    ipvs.setTimeouts = () => Promise.reject(error)
    const { errors, done } = prepare({ ipvs, timeouts: { tcp: 1, tcpFin: 0, udp: 0 } })
    await done
    expect(errors).toEqual([error])
  })
})

describe('the scheduler', () => {
  it('is tried with a virtual server that is gone again', async () => {
    const { ipvs, done } = prepare({ scheduler: 'sed' })
    await done
    expect(ipvs.applied).toMatchObject([
      { kind: 'addVirtualServer', server: { scheduler: 'sed' } },
      { kind: 'deleteVirtualServer' },
    ])
    expect(await ipvs.virtualServers(signal)).toEqual([])
  })

  it('needs no trial where it is in use', async () => {
    const ipvs = new FakeIpvs()
    await ipvs.apply([{ kind: 'addVirtualServer', server: probeServer() }], signal)
    await prepare({ ipvs }).done
    expect(ipvs.applied).toHaveLength(1)
  })

  it("is tried beside somebody else's virtual server", async () => {
    const ipvs = new FakeIpvs()
    await ipvs.apply([{ kind: 'addVirtualServer', server: probeServer(20_000, 'wlc') }], signal)
    await prepare({ ipvs }).done
    expect(ipvs.applied[1]).toMatchObject({ server: { id: { port: 20_001 } } })
    expect(await ipvs.virtualServers(signal)).toMatchObject([{ scheduler: 'wlc' }])
  })

  it('that the kernel lacks is an error, and nothing is set', async () => {
    const ipvs = new FakeIpvs({ schedulers: ['rr'] })
    const { sysctl, done } = prepare({ ipvs, scheduler: 'twos' })
    await expect(done).rejects.toThrow('the kernel has no scheduler "twos" (module ip_vs_twos)')
    await expect(done).rejects.toBeInstanceOf(KernelError)
    expect(sysctl.writes).toEqual([])
  })
})

it('a kernel without IPVS is told as such', async () => {
  const { done } = prepare({ ipvs: new FakeIpvs({ available: false }) })
  await expect(done).rejects.toMatchObject({ code: 'unsupported' })
})
