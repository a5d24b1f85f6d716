import { describe, expect, it } from 'vitest'
import { ip, key, port } from '../../../test/property/track-objects.ts'
import { servicePortName } from '../../model/names.ts'
import { addressText, endpointChain, type NamedServicePort, serviceChain } from './names.ts'

const servicePort = (service: string, name: string, protocol: NamedServicePort['protocol']): NamedServicePort => ({
  name: servicePortName(key(service), name),
  protocol,
})
const svc1 = servicePort('ns1/svc1', 'p80', 'TCP')

describe('chain names', () => {
  it.each([
    { of: svc1, hash: 'XPGD46QRK7WJZT7O' },
    { of: servicePort('default/kubernetes', 'https', 'TCP'), hash: 'NPX46M4PTMTKRN6Y' },
    { of: servicePort('ns/svc', '', 'UDP'), hash: 'HMYKOXKBMOZPKJU5' },
  ])('of $of.name are kube-proxy’s', ({ of, hash }) => {
    for (const kind of ['SVC', 'SVL', 'EXT', 'FW'] as const) expect(serviceChain(kind, of)).toBe(`KUBE-${kind}-${hash}`)
  })

  it.each([
    { address: '10.180.0.1', hash: 'SXIVWICOYRO3J4NJ' },
    { address: 'fd00::1', hash: 'T5UNFIPVCZXM3U7X' },
  ])('of endpoint $address is kube-proxy’s', ({ address, hash }) => {
    expect(endpointChain(svc1, { ip: ip(address), port: port(80) })).toBe(`KUBE-SEP-${hash}`)
  })

  it('tell protocols apart, and have room for no more than 28 characters', () => {
    const names = (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => serviceChain('SVC', { ...svc1, protocol }))
    expect(new Set(names).size).toBe(3)
    const longest = endpointChain(svc1, { ip: ip('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), port: port(65_535) })
    expect(longest).toMatch(/^KUBE-SEP-[A-Z2-7]{16}$/)
  })
})

describe('an address with a port', () => {
  it('has brackets in IPv6 only', () => {
    expect(addressText({ ip: ip('10.0.0.1'), port: port(80) })).toBe('10.0.0.1:80')
    expect(addressText({ ip: ip('fd00::1'), port: port(80) })).toBe('[fd00::1]:80')
  })
})
