import { describe, expect, it } from 'vitest'
import { canonicalRule } from './canonical.ts'
import type { RuleText } from './rule-text.ts'

const canonical = (rule: string, family: 'IPv4' | 'IPv6' = 'IPv4'): string => canonicalRule(rule as RuleText, family)

/** What the real programs print for every shape is checked in test/kernel/iptables-canonical.test.ts. */
describe('canonicalRule', () => {
  it.each([
    [
      '-m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 10.96.0.1 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ',
      '! -s 10.0.0.0/8 -d 10.96.0.1/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ',
    ],
    [
      '-m comment --comment a/b -m tcp -p tcp -j DNAT --to-destination 10.0.0.1:80',
      '-p tcp -m comment --comment "a/b" -m tcp -j DNAT --to-destination 10.0.0.1:80',
    ],
    ['-m comment --comment "it\'s \\"a\\"" -j ACCEPT', '-m comment --comment "it\\\'s \\"a\\"" -j ACCEPT'],
    ['-m comment --comment "-j" -j ACCEPT', '-m comment --comment -j -j ACCEPT'],
    ['-j REJECT', '-j REJECT --reject-with icmp-port-unreachable'],
    ['-s 0.0.0.0/0 -j ACCEPT', '-j ACCEPT'],
    ['', ''],
  ])('%s', (rule, printed) => {
    expect(canonical(rule)).toBe(printed)
    expect(canonical(printed)).toBe(printed)
  })

  it('knows what is different in IPv6', () => {
    expect(canonical('-d fd00::1 -j REJECT', 'IPv6')).toBe(
      '-d fd00::1/128 -j REJECT --reject-with icmp6-port-unreachable',
    )
    expect(canonical('-m recent --name X --set -j ACCEPT', 'IPv6')).toBe(
      '-m recent --set --name X --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource -j ACCEPT',
    )
  })

  it.each([
    ['0.3333333333', '0.33333333349'],
    // 1/4096 and 3/4096 lie in the middle of two decimals: C rounds to the even one.
    ['0.0002441406', '0.00024414062'],
    ['0.0007324219', '0.00073242188'],
  ])('rounds the probability %s as kernel and program do', (written, printed) => {
    expect(canonical(`-m statistic --mode random --probability ${written} -j X`)).toBe(
      `-m statistic --mode random --probability ${printed} -j X`,
    )
  })

  it('leaves what it does not know as it is', () => {
    const rule = '-p tcp -f -m multiport --dports 80,90:99 -m limit --limit 5/min -j LOG --log-prefix "a b"'
    expect(canonical(rule)).toBe(
      '-p tcp -f -m multiport --dports 80,90:99 -m limit --limit 5/min -j LOG --log-prefix "a b"',
    )
  })
})
