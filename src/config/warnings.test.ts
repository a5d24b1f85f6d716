import { describe, expect, test } from 'vitest'
import { parseCommandLine } from './command-line.ts'
import { type LoadedConfig, loadConfig } from './load.ts'

const header = 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n'
const byFile = (body: string, ...argv: readonly string[]): LoadedConfig =>
  loadConfig(parseCommandLine(['--config=/etc/weir.yaml', ...argv]), header + body)
const byFlags = (...argv: readonly string[]): LoadedConfig => loadConfig(parseCommandLine(argv), undefined)

describe('warnings', () => {
  const warningsOf = (body: string): readonly string[] => byFile(`mode: nftables\n${body}\n`).warnings
  test.each([
    ['ipvs: {scheduler: wlc}', 'ipvs.scheduler has no effect in mode nftables'],
    ['enableProfiling: true', 'enableProfiling is accepted, but weir does not act on it yet'],
    ['portRange: 1-2', 'portRange is accepted, but weir does not act on it yet'],
    ['winkernel: {enableDSR: true}', 'winkernel.enableDSR is accepted, but weir does not act on it yet'],
    ['iptables: {masqueradeAll: true}', 'iptables.masqueradeAll has no effect in mode nftables'],
    ['ipvs: {minSyncPeriod: 2s}', 'ipvs.minSyncPeriod has no effect in mode nftables'],
    [
      'clientConnection: {contentType: application/cbor}',
      'clientConnection.contentType is accepted, but weir always uses application/json',
    ],
  ])('%s', (body, warning) => {
    expect(warningsOf(body)).toEqual([warning])
  })
  test.each([
    'conntrack: {maxPerCore: 1, min: 2, tcpEstablishedTimeout: 1h, tcpCloseWaitTimeout: 1m, udpTimeout: 1s}',
    'ipvs: {syncPeriod: 30s}',
    'clientConnection: {contentType: application/json}',
  ])('%s is the default or what weir does', (body) => {
    expect(warningsOf(body)).toEqual([])
  })
  test('a flag is named as a flag', () => {
    expect(
      byFlags(
        '--proxy-mode=nftables',
        '--profiling',
        '--conntrack-min=1',
        '--ipvs-sync-period=1m',
        '--iptables-masquerade-bit=3',
      ).warnings,
    ).toEqual([
      '--profiling is accepted, but weir does not act on it yet',
      '--ipvs-sync-period has no effect in mode nftables',
      '--iptables-masquerade-bit has no effect in mode nftables',
    ])
  })
  const ofIpvs = [
    '--ipvs-scheduler=wlc',
    '--ipvs-exclude-cidrs=192.0.2.0/24',
    '--ipvs-strict-arp',
    '--ipvs-tcp-timeout=1h',
    '--ipvs-tcpfin-timeout=1m',
    '--ipvs-udp-timeout=1s',
    '--ipvs-drain-timeout=0',
  ]
  test('mode ipvs acts on what is its own, and on what iptables needs', () => {
    const shared = [
      '--iptables-masquerade-bit=3',
      '--masquerade-all',
      '--iptables-variant=nft',
      '--ipvs-sync-period=1m',
    ]
    expect(byFlags('--proxy-mode=ipvs', ...shared, ...ofIpvs).warnings).toEqual([])
  })
  test.each(['nftables', 'iptables', 'userspace'])('mode %s acts on nothing of that', (mode) => {
    expect(byFlags(`--proxy-mode=${mode}`, ...ofIpvs).warnings).toEqual(
      ofIpvs.map((flag) => `${flag.replace(/=.*/, '')} has no effect in mode ${mode}`),
    )
  })
  const ofIptables = ['--iptables-localhost-nodeports=false', '--iptables-ipset', '--iptables-dispatch=tree']
  test('mode iptables acts on what is its own', () => {
    expect(
      byFlags('--proxy-mode=iptables', '--iptables-masquerade-bit=3', '--iptables-variant=nft', ...ofIptables).warnings,
    ).toEqual([])
    expect(byFlags('--proxy-mode=iptables', '--conntrack-tcp-be-liberal').warnings).toEqual([])
    expect(byFile('mode: iptables\nnftables: {masqueradeAll: true, syncPeriod: 1m}\n').warnings).toEqual([
      'nftables.syncPeriod has no effect in mode iptables',
      'nftables.masqueradeAll has no effect in mode iptables',
    ])
  })
  test.each(['nftables', 'ipvs'])('mode %s acts on nothing of that', (mode) => {
    expect(byFlags(`--proxy-mode=${mode}`, ...ofIptables).warnings).toEqual([
      `--iptables-localhost-nodeports has no effect in mode ${mode}`,
      `--iptables-ipset has no effect in mode ${mode}`,
      `--iptables-dispatch has no effect in mode ${mode}`,
    ])
    const file = 'iptables: {localhostNodePorts: true}\nweir: {iptables: {variant: auto, ipset: false, dispatch: flat}}'
    expect(byFile(`mode: ${mode}\n${file}\n`).warnings).toEqual([])
  })
  test('the variant of iptables matters where there are rules of iptables', () => {
    for (const mode of ['nftables', 'userspace'])
      expect(byFlags(`--proxy-mode=${mode}`, '--iptables-variant=nft').warnings).toEqual([
        `--iptables-variant has no effect in mode ${mode}`,
      ])
  })
  const ofUserspace = [
    '--userspace-threads=2',
    '--userspace-redirect=never',
    '--userspace-port-range=3000-3999',
    '--userspace-connect-timeout=1s',
    '--userspace-tcp-idle-timeout=0',
    '--userspace-udp-timeout=5s',
    '--userspace-max-connections=9',
    '--userspace-drain-timeout=0',
  ]
  test('mode userspace acts on what is its own, and has no masquerading', () => {
    expect(byFlags('--proxy-mode=userspace', ...ofUserspace).warnings).toEqual([])
    expect(byFlags('--proxy-mode=userspace', '--masquerade-all').warnings).toEqual([
      '--masquerade-all has no effect in mode userspace',
    ])
  })
  test.each(['nftables', 'iptables'])('mode %s acts on nothing of that', (mode) => {
    expect(byFlags(`--proxy-mode=${mode}`, ...ofUserspace).warnings).toEqual(
      ofUserspace.map((flag) => `${flag.replace(/=.*/, '')} has no effect in mode ${mode}`),
    )
  })
  test('what the file sets is named as a field, even beside the flag', () => {
    expect(byFile('mode: nftables\nenableProfiling: true\n', '--profiling').warnings).toEqual([
      '--profiling is ignored because --config is given',
      'enableProfiling is accepted, but weir does not act on it yet',
    ])
  })
  test("the command line's own come along", () => {
    expect(byFlags('--proxy-mode=nftables', '--logtostderr').warnings).toEqual([
      '--logtostderr is accepted, but weir does not act on it',
    ])
  })
})
