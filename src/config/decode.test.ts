import { describe, expect, test } from 'vitest'
import { ConfigError } from './config-error.ts'
import { type Decoded, decodeConfiguration } from './decode.ts'
import { seconds } from './go-duration.ts'
import { configurationFields } from './shape.ts'

const header = 'kind: KubeProxyConfiguration\napiVersion: kubeproxy.config.k8s.io/v1alpha1\n'
const decode = (body: string): Decoded => decodeConfiguration(header + body)

const failure = (source: string): string => {
  try {
    decodeConfiguration(source)
  } catch (error) {
    if (error instanceof ConfigError && error.code === 'decode') return error.message
    throw error
  }
  return 'nothing was thrown'
}

describe('kind and apiVersion', () => {
  test.each([
    '',
    '\n',
    '# nothing\n',
    '---\n',
    'null\n',
    '[]',
    'text',
    '3',
    '---\n---\nkind: KubeProxyConfiguration\n',
  ])('%j is no configuration', (source) => {
    expect(failure(source)).toBe('kind: Required value: must be KubeProxyConfiguration')
  })
  test('both are needed', () => {
    expect(failure('mode: ipvs\n').split('\n')).toEqual([
      'kind: Required value: must be KubeProxyConfiguration',
      'apiVersion: Required value: must be kubeproxy.config.k8s.io/v1alpha1',
    ])
  })
  test('others are refused', () => {
    expect(failure('kind: KubeletConfiguration\napiVersion: kubeproxy.config.k8s.io/v1\n').split('\n')).toEqual([
      'kind: Unsupported value: "KubeletConfiguration": supported values: "KubeProxyConfiguration"',
      'apiVersion: Unsupported value: "kubeproxy.config.k8s.io/v1": supported values: "kubeproxy.config.k8s.io/v1alpha1"',
    ])
  })
})

describe('strictness only warns', () => {
  test('unknown fields are named with their path, and what is known still counts', () => {
    const { settings, warnings } = decode(`oomScoreAdj: 1
nope: 1
iptables: {masqueradebit: 3, syncPeriod: 9s}
logging: {vmodule: [{filePattern: a, verbosity: 1, file: b}]}
`)
    expect(settings).toMatchObject({ oomScoreAdj: 1, iptables: { syncPeriod: seconds(9) } })
    expect(settings.iptables.masqueradeBit).toBeUndefined()
    expect(warnings).toEqual([
      'using lenient decoding as strict decoding failed: unknown field "nope", unknown field "logging.vmodule[0].file", unknown field "iptables.masqueradebit"',
    ])
  })
  test('section weir is as strict as the rest', () => {
    const { settings, warnings } = decode('weir: {iptables: {ipsets: true, ipset: true, ipset: false}, nftables: {}}\n')
    expect(settings.weir).toEqual({
      iptables: { variant: undefined, ipset: false, dispatch: undefined },
      userspace: {},
      ipvs: {},
    })
    expect(warnings).toEqual([
      'using lenient decoding as strict decoding failed: unknown field "weir.nftables", unknown field "weir.iptables.ipsets", line 3: key "weir.iptables.ipset" already set in map',
    ])
  })
  test('of duplicate keys the last counts', () => {
    const { settings, warnings } = decode(
      'mode: ipvs\nnftables: {masqueradeBit: 1, masqueradeBit: 2}\nmode: nftables\n',
    )
    expect(settings).toMatchObject({ mode: 'nftables', nftables: { masqueradeBit: 2 } })
    expect(warnings).toEqual([
      'using lenient decoding as strict decoding failed: line 4: key "nftables.masqueradeBit" already set in map, line 5: key "mode" already set in map',
    ])
  })
  test('duplicate keys of JSON are found too', () => {
    const source = `{"kind":"KubeProxyConfiguration","apiVersion":"kubeproxy.config.k8s.io/v1alpha1","mode":"ipvs","mode":"nftables"}`
    expect(decodeConfiguration(source)).toMatchObject({
      settings: { mode: 'nftables' },
      warnings: [expect.stringContaining('"mode"')],
    })
  })
  test('names of Object.prototype are unknown fields like others', () => {
    expect(decode('constructor: 1\niptables: {toString: 1}\n').warnings[0]).toContain(
      'unknown field "constructor", unknown field "iptables.toString"',
    )
  })
  test('only the first document is read', () => {
    const { settings, warnings } = decode('mode: ipvs\n---\nmode: nftables\nnope: [}\n')
    expect(settings.mode).toBe('ipvs')
    expect(warnings).toEqual(['only the first YAML document of the configuration file is read'])
  })
  test('a separator at the top and a comment do no harm', () => {
    expect(decodeConfiguration(`# mine\n---\n${header}mode: ipvs\n`)).toMatchObject({
      settings: { mode: 'ipvs' },
      warnings: [],
    })
  })
})

describe('wrong types are fatal', () => {
  test.each([
    ['mode: 1', 'mode: Invalid value: 1: must be a string'],
    ['mode: yes', 'mode: Invalid value: true: must be a string'],
    ['bindAddressHardFail: "true"', 'bindAddressHardFail: Invalid value: "true": must be true or false'],
    ['oomScoreAdj: 1.5', 'oomScoreAdj: Invalid value: 1.5: must be a 32-bit integer'],
    ['oomScoreAdj: 2147483648', 'oomScoreAdj: Invalid value: 2147483648: must be a 32-bit integer'],
    ['oomScoreAdj: "1"', 'oomScoreAdj: Invalid value: "1": must be a 32-bit integer'],
    ['logging: {verbosity: -1}', 'logging.verbosity: Invalid value: -1: must be an unsigned 32-bit integer'],
    ['configSyncPeriod: 30', 'configSyncPeriod: Invalid value: 30: must be a duration such as 30s or 1h30m'],
    ['configSyncPeriod: ""', 'configSyncPeriod: Invalid value: "": must be a duration such as 30s or 1h30m'],
    ['configSyncPeriod: 30d', 'configSyncPeriod: Invalid value: "30d": must be a duration such as 30s or 1h30m'],
    ['iptables: []', 'iptables: Invalid value: []: must be a map'],
    ['weir: tree', 'weir: Invalid value: "tree": must be a map'],
    ['weir: {iptables: true}', 'weir.iptables: Invalid value: true: must be a map'],
    ['weir: {iptables: {ipset: 1}}', 'weir.iptables.ipset: Invalid value: 1: must be true or false'],
    ['weir: {iptables: {dispatch: [tree]}}', 'weir.iptables.dispatch: Invalid value: ["tree"]: must be a string'],
    ['logging: {options: {json: 3}}', 'logging.options.json: Invalid value: 3: must be a map'],
    ['nodePortAddresses: primary', 'nodePortAddresses: Invalid value: "primary": must be a list of strings'],
    ['nodePortAddresses: [1]', 'nodePortAddresses: Invalid value: [1]: must be a list of strings'],
    [
      'featureGates: {A: "true"}',
      'featureGates: Invalid value: {"A":"true"}: must be a map of gate names to true or false',
    ],
    ['clientConnection: {qps: fast}', 'clientConnection.qps: Invalid value: "fast": must be a number'],
    [
      'logging: {options: {text: {infoBufferSize: big}}}',
      'logging.options.text.infoBufferSize: Invalid value: "big": must be a size such as 512, 1K or 2Mi',
    ],
    ['logging: {vmodule: [a]}', 'logging.vmodule: Invalid value: ["a"]: must be a list of filePattern and verbosity'],
  ])('%s', (body, message) => {
    expect(failure(`${header}${body}\n`)).toBe(message)
  })
  test('all of them are listed', () => {
    expect(failure(`${header}mode: 1\nportRange: 2\n`).split('\n')).toHaveLength(2)
  })
  test.each(['a: [1', 'a: b: c', 'a: *gone', '\t- x', '{"a":'])('%j is no YAML', (body) => {
    expect(failure(header + body)).toMatch(/^file: not valid YAML: /)
  })
  test('an alias bomb is refused', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`)
    expect(failure(`${header}a0: &a0 x\n${levels.join('\n')}\n`)).toMatch(/^file: not valid YAML: /)
  })
})

describe('YAML as Go reads it', () => {
  test.each([
    ['iptables: {masqueradeAll: yes}', { iptables: { masqueradeAll: true } }],
    ['iptables: {masqueradeAll: off}', { iptables: { masqueradeAll: false } }],
    ['oomScoreAdj: 0x10', { oomScoreAdj: 16 }],
    ['oomScoreAdj: 010', { oomScoreAdj: 8 }],
    ['oomScoreAdj: 14.0', { oomScoreAdj: 14 }],
    ['hostnameOverride: 2026-11-20', { hostnameOverride: '2026-11-20' }],
    ['hostnameOverride: 1:30', { hostnameOverride: '1:30' }],
    ['logging: {flushFrequency: 5000000000}', { logging: { flushFrequency: seconds(5) } }],
    ['logging: {flushFrequency: 5s}', { logging: { flushFrequency: seconds(5) } }],
    [
      'logging: {options: {json: {infoBufferSize: 512}}}',
      { logging: { options: { json: { infoBufferSize: '512' } } } },
    ],
    ['x: &d {masqueradeBit: 5}\niptables: {<<: *d}', { iptables: { masqueradeBit: 5 } }],
  ])('%j', (body, expected) => {
    expect(decode(`${body}\n`).settings).toMatchObject(expected)
  })
  test('JSON with tabs', () => {
    const source = JSON.stringify(
      { kind: 'KubeProxyConfiguration', apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', mode: 'ipvs' },
      undefined,
      '\t',
    )
    expect(decodeConfiguration(source)).toMatchObject({ settings: { mode: 'ipvs' }, warnings: [] })
  })
  test.each(configurationFields)('%s may be null', (field) => {
    const body = field.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), null)
    const source = { kind: 'KubeProxyConfiguration', apiVersion: 'kubeproxy.config.k8s.io/v1alpha1', ...Object(body) }
    expect(decodeConfiguration(JSON.stringify(source)).warnings).toEqual([])
  })
})
