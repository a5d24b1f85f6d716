import { describe, expect, it } from 'vitest'
import type { NodePortSelector } from '../../desired/node-port-addresses.ts'
import { KernelError } from '../../kernel/netlink/error.ts'
import { FakeNfacct } from '../../kernel/nfacct/fake-nfacct.ts'
import { FakeSysctl } from '../../kernel/sysctl/fake-sysctl.ts'
import { SysctlError } from '../../kernel/sysctl/sysctl-error.ts'
import { parseCidr } from '../../model/cidr.ts'
import { coverLoopback, invalidDropped, prepareNode } from './prepare.ts'

const { signal } = new AbortController()
const localnet = 'net/ipv4/conf/all/route_localnet'
const liberal = 'net/netfilter/nf_conntrack_tcp_be_liberal'

const cidrs = (...texts: readonly string[]): NodePortSelector => texts.flatMap((text) => parseCidr(text) ?? [])

const node = (values: Readonly<Record<string, number>> = {}): FakeSysctl =>
  new FakeSysctl({ [localnet]: 0, [liberal]: 0, ...values })

const prepare = (
  sysctl: FakeSysctl,
  { localhostNodePorts = true, nodePortAddresses = cidrs(), nfacct = new FakeNfacct() } = {},
) => prepareNode({ localhostNodePorts, nodePortAddresses, sysctl, nfacct }, signal)

describe('coverLoopback', () => {
  it.each([
    [[], true],
    [['0.0.0.0/0'], true],
    [['127.0.0.0/8'], true],
    [['127.0.0.1/32'], true],
    [['192.0.2.0/24', '126.0.0.0/7'], true],
    [['2001:db8::/64'], true],
    [['192.0.2.0/24'], false],
    [['192.0.2.0/24', '::1/128'], false],
  ] as const)('%j: %s', (texts, expected) => {
    expect(coverLoopback(cidrs(...texts))).toBe(expected)
  })

  it('is not what primary does', () => {
    expect(coverLoopback('primary')).toBe(false)
  })
})

describe('route_localnet', () => {
  it('is set where NodePorts on localhost are wanted', async () => {
    const sysctl = node()
    expect(await prepare(sysctl)).toMatchObject({ routeLocalnet: true })
    expect(sysctl.writes).toEqual([[localnet, '1']])
  })

  it('is not written where it is set', async () => {
    const sysctl = node({ [localnet]: 1 })
    expect(await prepare(sysctl)).toMatchObject({ routeLocalnet: true })
    expect(sysctl.writes).toEqual([])
  })

  it.each([
    { localhostNodePorts: false },
    { nodePortAddresses: 'primary' as const },
    { nodePortAddresses: cidrs('192.0.2.0/24') },
  ])('is left alone with %j', async (options) => {
    const sysctl = node()
    expect(await prepare(sysctl, options)).toMatchObject({ routeLocalnet: false })
    expect(sysctl.writes).toEqual([])
  })

  it('rejects where it cannot be set', async () => {
    const sysctl = node()
    sysctl.write = () => Promise.reject(new SysctlError('denied', `write ${localnet} = 1`, 'EROFS'))
    await expect(prepare(sysctl)).rejects.toMatchObject({ code: 'denied' })
  })
})

describe('nfacct objects', () => {
  it('are made where the kernel has them, and keep what they have counted', async () => {
    const nfacct = new FakeNfacct()
    expect(await prepare(node(), { nfacct })).toMatchObject({ nfacct: true })
    nfacct.count(invalidDropped, 3n, 180n)
    expect(await prepare(node(), { nfacct })).toMatchObject({ nfacct: true })
    expect(await nfacct.read('ct_state_invalid_dropped_pkts', signal)).toEqual({ packets: 3n, bytes: 180n })
    expect(await nfacct.read('localhost_nps_accepted_pkts', signal)).toEqual({ packets: 0n, bytes: 0n })
  })

  it('are done without where it has none, or refuses', async () => {
    const refusing = new FakeNfacct()
    refusing.ensure = () => Promise.reject(new KernelError({ code: 'permission', op: 'create nfacct x' }))
    for (const nfacct of [new FakeNfacct(false), refusing])
      expect(await prepare(node(), { nfacct })).toMatchObject({ nfacct: false })
    const parts = { localhostNodePorts: false, nodePortAddresses: cidrs(), sysctl: node(), nfacct: undefined }
    expect(await prepareNode(parts, signal)).toMatchObject({ nfacct: false })
  })
})

describe('packets that conntrack calls INVALID', () => {
  it('are dropped unless conntrack is liberal', async () => {
    expect(await prepare(node())).toMatchObject({ dropInvalid: true })
    expect(await prepare(node({ [liberal]: 1 }))).toMatchObject({ dropInvalid: false })
  })

  it('are dropped where conntrack does not tell', async () => {
    expect(await prepare(new FakeSysctl({ [localnet]: 1 }))).toMatchObject({ dropInvalid: true })
  })
})
