import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { featureGateIssues, gatesWithoutEffect, isEnabled } from './feature-gates.ts'
import { knownFeatureGates } from './feature-gates-known.ts'

describe('feature gates', () => {
  test('no gate stands in two groups', () => {
    const source = readFileSync(new URL('./feature-gates-known.ts', import.meta.url), 'utf8')
    const groups = [...source.matchAll(/^ {2}\w+: `([^`]*)`/gm)].map((match) => match[1] ?? '')
    const names = groups.flatMap((group) => group.trim().split(/\s+/))
    expect(groups).toHaveLength(5)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
    expect(names.length).toBe(knownFeatureGates.size)
    expect(knownFeatureGates.size).toBeGreaterThan(240)
  })

  test.each([
    ['AllAlpha', false, false],
    ['AllBeta', false, false],
    ['AllowServiceExternalIPs', true, false],
    ['ComponentFlagz', true, false],
    ['ComponentStatusz', true, false],
    ['NativeHistograms', false, false],
    ['LoggingAlphaOptions', false, false],
    ['NFTablesProxyMode', true, true],
    ['MultiCIDRServiceAllocator', true, true],
    ['PreferSameTrafficDistribution', true, true],
    ['CustomCPUCFSQuotaPeriod', true, false],
    ['WatchListClient', true, false],
  ])('%s', (name, value, locked) => {
    expect(knownFeatureGates.get(name)).toMatchObject({ default: value, locked })
  })

  test.each(['KubeProxyIPVS', 'NFTablesNetlink', 'KubeProxyNFTablesLocalhostNodePorts', 'constructor'])(
    '%s is unknown in v1.36',
    (name) => {
      expect(featureGateIssues({ [name]: true })).toEqual([
        { field: 'featureGates', reason: `Invalid value: "${name}": unrecognized feature gate: ${name}` },
      ])
    },
  )

  test('a locked gate may be set to what it is', () => {
    expect(featureGateIssues({ NFTablesProxyMode: true, KMSv1: true })).toEqual([])
    expect(featureGateIssues({ NFTablesProxyMode: false })[0]?.reason).toBe(
      'Invalid value: false: cannot set feature gate NFTablesProxyMode to false, feature is locked to true',
    )
  })

  test('AllAlpha switches alpha gates on, a gate of its own decides for itself', () => {
    expect(isEnabled({ AllAlpha: true }, 'LoggingAlphaOptions')).toBe(true)
    expect(isEnabled({ AllAlpha: true, LoggingAlphaOptions: false }, 'LoggingAlphaOptions')).toBe(false)
    expect(isEnabled({ AllAlpha: true }, 'SELinuxMount')).toBe(false)
    expect(isEnabled({ AllAlpha: false }, 'AllowServiceExternalIPs')).toBe(true)
    expect(isEnabled({ AllowServiceExternalIPs: false }, 'AllowServiceExternalIPs')).toBe(false)
    expect(isEnabled({}, 'NoSuchGate')).toBe(false)
  })

  test('moved gates without effect', () => {
    expect(gatesWithoutEffect({ WatchList: false, SidecarContainers: true, AllowServiceExternalIPs: false })).toEqual([
      'WatchList',
    ])
  })
})
