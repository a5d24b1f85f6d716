import { describe, expect, it } from 'vitest'
import { families } from '../../model/ip.ts'
import { allSetRoles, setName } from './sets.ts'

describe('set names', () => {
  it('are kube-proxy’s, cut in IPv6', () => {
    expect(setName('LOOP-BACK', 'IPv4')).toBe('KUBE-LOOP-BACK')
    expect(setName('LOOP-BACK', 'IPv6')).toBe('KUBE-6-LOOP-BACK')
    expect(setName('LOAD-BALANCER-SOURCE-CIDR', 'IPv6')).toBe('KUBE-6-LOAD-BALANCER-SOURCE-CID')
    expect(setName('NODE-PORT-LOCAL-SCTP', 'IPv6')).toBe('KUBE-6-NODE-PORT-LOCAL-SCTP-HAS')
  })

  it('fit, and no two are the same', () => {
    const names = families.flatMap((family) => allSetRoles.map((role) => setName(role, family)))
    expect(new Set(names).size).toBe(2 * allSetRoles.length)
    expect(Math.max(...names.map((name) => name.length))).toBe(31)
  })
})
