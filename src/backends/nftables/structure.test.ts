import { describe, expect, it } from 'vitest'
import { allClasses, allHosts, hostsOf } from '../../../test/kernel/sync-classes.ts'
import { cidr, ip } from '../../../test/property/track-objects.ts'
import type { HostState } from '../../model/host.ts'
import { families } from '../../model/ip.ts'
import { classRules } from './class-rules.ts'
import { isLayoutMarker, layoutMarker, structureScript } from './structure.ts'

/** Of the classes that take something from the host, those of one size and scheduler: the others take the same. */
const classes = allClasses.filter((each) => each.kind !== 'pick' || (each.scheduler === 'random' && !each.sticky))

/** Every kind of rule that the table may come to hold. */
const rulesOf = (host: HostState): string =>
  JSON.stringify([structureScript(host, []), classes.map((each) => classRules(each, host))])

describe('the marker of the structure', () => {
  it('changes exactly when a rule does', () => {
    for (const family of families) {
      const markers = new Map<string, string>()
      for (const host of hostsOf(family)) {
        const [marker, rules] = [layoutMarker(host), rulesOf(host)]
        expect(markers.get(marker) ?? rules, JSON.stringify(host)).toBe(rules)
        markers.set(marker, rules)
      }
      expect(new Set(markers.values()).size).toBe(markers.size)
      expect(markers.size).toBeGreaterThan(50)
    }
  })

  it('does not change with what is held in sets', () => {
    for (const family of families) {
      const [host] = hostsOf(family).filter(({ nodePortAddresses }) => nodePortAddresses.kind === 'some')
      if (host === undefined) throw new Error('such a host')
      const other: HostState = {
        ...host,
        nodePortAddresses: { kind: 'some', addresses: [ip(family === 'IPv4' ? '192.0.2.77' : '2001:db8::77')] },
        serviceCidrs: [cidr(family === 'IPv4' ? '10.96.0.0/12' : 'fd00::/108')],
      }
      expect(layoutMarker(other)).toBe(layoutMarker(host))
      expect(structureScript(other, [])).toBe(structureScript(host, []))
    }
  })

  it('is a name that nothing else has', () => {
    for (const host of allHosts) {
      expect(layoutMarker(host)).toMatch(/^layout-[0-9a-f]{12}$/)
      expect(isLayoutMarker(layoutMarker(host))).toBe(true)
    }
  })
})

describe('the script of the structure', () => {
  it('adds and flushes, and deletes nothing but old markers', () => {
    for (const host of allHosts) {
      const lines = structureScript(host, ['layout-old']).trim().split('\n')
      const deletions = lines.filter((line) => !/^(?:add|flush) /.test(line))
      const table = host.family === 'IPv4' ? 'ip weir' : 'ip6 weir'
      expect(deletions).toEqual([`delete chain ${table} layout-old`])
      for (const line of lines) expect(line.split(' ').slice(2, 4).join(' ')).toBe(table)
    }
  })
})
