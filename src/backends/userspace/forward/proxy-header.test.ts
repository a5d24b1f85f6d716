import { describe, expect, it } from 'vitest'
import { ip } from '../../../../test/support/forwarding.ts'
import { parseProxyHeader } from '../../../../test/support/proxy-header.ts'
import { proxyHeader } from './proxy-header.ts'

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

describe('proxyHeader', () => {
  it('writes IPv4 as proxy-protocol.txt §2.2 has it', () => {
    expect(proxyHeader({ ip: ip('192.0.2.1'), port: 56324 }, { ip: ip('203.0.113.7'), port: 443 })).toEqual(
      bytes('0d0a0d0a000d0a515549540a 21 11 000c c0000201 cb007107 dc04 01bb'),
    )
  })

  it('writes IPv6', () => {
    expect(proxyHeader({ ip: ip('2001:db8::1'), port: 1 }, { ip: ip('2001:db8::2'), port: 65535 })).toEqual(
      bytes(`0d0a0d0a000d0a515549540a 21 21 0024 20010db8${'00'.repeat(11)}01 20010db8${'00'.repeat(11)}02 0001 ffff`),
    )
  })

  it('is read back by another implementation', () => {
    const header = proxyHeader({ ip: ip('192.0.2.1'), port: 56324 }, { ip: ip('203.0.113.7'), port: 443 })
    expect(parseProxyHeader(Buffer.concat([header, Buffer.from('rest')]))).toEqual({
      command: 'PROXY',
      source: '192.0.2.1',
      sourcePort: 56324,
      destination: '203.0.113.7',
      destinationPort: 443,
      rest: 'rest',
    })
  })
})
