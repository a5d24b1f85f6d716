import { describe, expect, it } from 'vitest'
import { FatalError } from '../../../src/cli/fatal.ts'
import { iptablesSettings } from '../../../src/cli/iptables-settings.ts'
import { setsObstacle } from '../../../src/cli/kernel-sets.ts'
import { prepareIptables } from '../../../src/cli/prepare-iptables.ts'
import { hostSettings } from '../../../src/cli/settings.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { FakeIpset } from '../../../src/kernel/ipset/fake-ipset.ts'
import type { SetSpec } from '../../../src/kernel/ipset/ipset.ts'
import { IpsetError } from '../../../src/kernel/ipset/ipset-error.ts'
import { FakeSysctl } from '../../../src/kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../../src/kernel/sysctl/sysctl-error.ts'

const { signal } = new AbortController()
const configOf = (...flags: readonly string[]): Config => loadConfig(parseCommandLine(flags), undefined).config
const inIptables = (...flags: readonly string[]): Config => configOf('--proxy-mode=iptables', ...flags)

describe('settings of the rules', () => {
  const facts = { dropInvalid: true, randomFully: false, nfacct: true, ipset: true }

  it('come from the configuration, the node, and the family', () => {
    expect(iptablesSettings(inIptables(), 'IPv4', facts)).toEqual({
      family: 'IPv4',
      localhostNodePorts: true,
      dropInvalid: true,
      randomFully: false,
      nfacct: true,
      ipset: false,
      dispatch: 'flat',
    })
    const others = inIptables('--iptables-ipset', '--iptables-dispatch=tree', '--iptables-localhost-nodeports=false')
    expect(iptablesSettings(others, 'IPv4', facts)).toMatchObject({
      localhostNodePorts: false,
      ipset: true,
      dispatch: 'tree',
    })
  })

  it('never serve localhost for IPv6, and have sets only where the kernel has them', () => {
    const settings = iptablesSettings(inIptables('--iptables-ipset'), 'IPv6', { ...facts, ipset: false })
    expect(settings).toMatchObject({ family: 'IPv6', localhostNodePorts: false, ipset: false })
  })
})

describe('NodePorts on loopback addresses', () => {
  it.each([
    [inIptables(), true],
    [inIptables('--iptables-localhost-nodeports=false'), false],
    [configOf('--proxy-mode=nftables'), false],
    [configOf('--proxy-mode=ipvs'), false],
  ])('%#', (config, expected) => {
    expect(hostSettings(config).loopbackNodePorts).toBe(expected)
  })

  const name = 'net/ipv4/conf/all/route_localnet'
  const readOnly = (): FakeSysctl => {
    const sysctl = new FakeSysctl({ [name]: 0 })
    sysctl.write = () => Promise.reject(new SysctlError('denied', `write ${name} = 1`, 'EROFS'))
    return sysctl
  }

  it('end the process where the kernel cannot be told, with what helps', async () => {
    const prepared = prepareIptables(inIptables(), { servesIPv4: true, nfacct: undefined, sysctl: readOnly() }, signal)
    const error: unknown = await prepared.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(FatalError)
    expect(String(error)).toMatch(/127\.0\.0\.1 .*route_localnet = 1: EROFS; .*localhostNodePorts off/)
    expect(String(error)).not.toContain('\n')
  })

  it.each([
    [inIptables('--iptables-localhost-nodeports=false'), true],
    [inIptables('--nodeport-addresses=primary'), true],
    [inIptables('--nodeport-addresses=192.0.2.0/24'), true],
    [inIptables(), false],
  ])('need nothing where there are none (%#)', async (config, servesIPv4) => {
    const parts = { servesIPv4, nfacct: undefined, sysctl: readOnly() }
    expect(await prepareIptables(config, parts, signal)).toMatchObject({ routeLocalnet: false })
  })
})

describe('sets of the kernel', () => {
  const kinds = [
    { type: 'hash:ip,port' },
    { type: 'hash:ip,port,net' },
    { type: 'hash:ip,port', marks: true },
    { type: 'hash:ip,port' },
  ] as const

  it('are tried, every kind of them once, and nothing is left', async () => {
    const created: string[] = []
    class Recording extends FakeIpset {
      override create(spec: SetSpec, during: AbortSignal): Promise<void> {
        created.push(`${spec.type}${spec.marks === true ? ' with marks' : ''}`)
        return super.create(spec, during)
      }
    }
    const ipset = new Recording()
    expect(await setsObstacle(ipset, kinds, signal)).toBeUndefined()
    expect(created).toEqual(['hash:ip,port', 'hash:ip,port,net', 'hash:ip,port with marks'])
    expect(await ipset.list(signal)).toEqual([])
  })

  it('cannot be had where the kernel lacks one kind', async () => {
    class Lacking extends FakeIpset {
      override create(spec: SetSpec, during: AbortSignal): Promise<void> {
        if (spec.type !== 'hash:ip,port,net') return super.create(spec, during)
        throw new IpsetError({ code: 'unsupported', op: `create ${spec.name}`, reason: 'no hash:ip,port,net' })
      }
    }
    expect(await setsObstacle(new Lacking(), kinds, signal)).toContain('no hash:ip,port,net')
  })
})
