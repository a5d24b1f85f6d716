import { expect, it } from 'vitest'
import { loopbackNodePortLines } from '../../../src/cli/loopback-checks.ts'
import { parseCommandLine } from '../../../src/config/command-line.ts'
import { loadConfig } from '../../../src/config/load.ts'

const lines = (mode: string, addresses: string, ...flags: readonly string[]): readonly string[] => {
  const argv = [`--proxy-mode=${mode}`, ...(addresses === '' ? [] : [`--nodeport-addresses=${addresses}`]), ...flags]
  return loopbackNodePortLines(loadConfig(parseCommandLine(argv), undefined).config)
}
const off = '--iptables-localhost-nodeports=false'

it.each([
  ['iptables', '', off],
  ['iptables', 'primary', off],
  ['iptables', '127.0.0.0/8', '--v=0'],
  ['iptables', '192.0.2.0/24,2001:db8::/64', off],
  ['iptables', '127.0.0.0/8,0.0.0.0/0,::/0', off],
  ['iptables', '127.0.0.2/32', off],
  ['nftables', '192.0.2.0/24', '--v=0'],
  ['userspace', '127.0.0.0/8', off],
])('mode %s with %j is as it should be (%s)', (mode, addresses, flag) => {
  expect(lines(mode, addresses, flag)).toEqual([])
})

it('names each loopback address that cannot be served, with the reason', () => {
  expect(lines('iptables', '127.0.0.0/8', off)).toEqual([
    'nodePortAddresses includes 127.0.0.1, but iptables.localhostNodePorts is off',
  ])
  expect(lines('iptables', '127.0.0.0/8,::/64')).toEqual([
    'nodePortAddresses includes ::1, but NodePorts on loopback addresses are not supported for IPv6',
  ])
  const nftables = 'but NodePorts on loopback addresses are not supported in mode nftables'
  expect(lines('nftables', '127.0.0.1/32,::1/128')).toEqual([
    `nodePortAddresses includes 127.0.0.1, ${nftables}`,
    `nodePortAddresses includes ::1, ${nftables}`,
  ])
})
