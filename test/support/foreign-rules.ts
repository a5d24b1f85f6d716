import { execFileSync } from 'node:child_process'

const sh = (command: string, input = ''): string =>
  execFileSync('sh', ['-ec', command], { input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'pipe'] })

const variants = ['legacy', 'nft'] as const
const programs = variants.flatMap((variant) =>
  ['iptables', 'ip6tables'].map((family) => ({ variant, name: `${family}-${variant}` })),
)

/** Chains and rules of others, with names that resemble ours, around which traffic goes on. */
const rules = `*mangle
:FORWARD ACCEPT [0:0]
:WEIRD-CHAIN - [0:0]
[1:10] -A FORWARD -j WEIRD-CHAIN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-FOO - [0:0]
:MY-KUBE-SVC-XPGD46QRK7WJZT7O - [0:0]
:KUBE-SVC-XPGD46QRK7WJZT7 - [0:0]
:KUBE-SVC-xpgd46qrk7wjzt7o - [0:0]
:MY-WEIR-SERVICES - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
[2:20] -A PREROUTING -m comment --comment "-j KUBE-SERVICES" -j KUBE-FOO
[3:30] -A PREROUTING -m mark --mark 0xabc -j MY-KUBE-SVC-XPGD46QRK7WJZT7O
[4:40] -A OUTPUT -m mark --mark 0xabc -j MY-WEIR-SERVICES
[5:50] -A POSTROUTING -j CNI-HOSTPORT-MASQ
[6:60] -A KUBE-FOO -m mark --mark 0xabc -j KUBE-SVC-XPGD46QRK7WJZT7
[7:70] -A KUBE-SVC-XPGD46QRK7WJZT7 -j KUBE-SVC-xpgd46qrk7wjzt7o
[8:80] -A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FOO - [0:0]
:KUBE-NWPLCY-DEFAULT - [0:0]
:KUBE-SERVICES-EXTRA - [0:0]
:DOCKER-USER - [0:0]
[9:90] -A INPUT -m mark --mark 0xabc -j KUBE-FOO
[10:100] -A FORWARD -j DOCKER-USER
[11:110] -A FORWARD -m mark --mark 0xabc -j KUBE-SERVICES-EXTRA
[12:120] -A OUTPUT -m comment --comment "kubernetes service portals" -m mark --mark 0xabc -j KUBE-NWPLCY-DEFAULT
[13:130] -A DOCKER-USER -j RETURN
COMMIT
`

/** What kubelet makes: its canary and hint, and the chain that it shares with kube-proxy. */
const kubelet = `*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*nat
:KUBE-KUBELET-CANARY - [0:0]
COMMIT
*filter
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-FIREWALL - [0:0]
-I INPUT -j KUBE-FIREWALL
-I OUTPUT -j KUBE-FIREWALL
COMMIT
`
const kubeletRule =
  '*filter\n-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\nCOMMIT\n'

const sets = `create WEIR hash:ip
create WEIRD hash:ip,port
create KUBE-FOO hash:net
create MY-WEIR-4-REJECT hash:ip,port
create WEIR4-DROP bitmap:port range 0-100
add WEIR 192.0.2.77
add WEIRD 192.0.2.77,tcp:80
`

const tables = `
table inet weir { chain services { }; }
table ip weird { set endpoints { type ipv4_addr; elements = { 192.0.2.77 }; }; }
table ip kube-proxy2 { chain input { type filter hook input priority 5; meta mark 0xabc counter packets 12 bytes 1200; }; }
`

/** Loads everything of others into every variant and family. */
export const loadForeign = (): void => {
  for (const { name } of programs) sh(`${name}-restore --noflush --counters`, rules)
  sh('ipset restore', sets)
  sh('nft -f -', tables)
}

/** What kubelet would have made in this variant, in both families. */
export const loadKubelet = (variant: 'legacy' | 'nft'): void => {
  for (const program of programs) if (program.variant === variant) sh(`${program.name}-restore --noflush`, kubelet)
  sh(`iptables-${variant}-restore --noflush`, kubeletRule)
}

/** What iptables-nft shows in its own words. */
const iptablesTable = /^table ip6? (?:filter|nat|mangle)$/

export type Snapshot = Readonly<Record<string, string>>

/**
 * Everything that the kernel holds, in its order. `counters`: those of rules, too; of chains they come and go with traffic.
 * Sets without the hash seeds and references by which each save differs.
 */
export const snapshot = ({ counters = false }: { readonly counters?: boolean } = {}): Snapshot => ({
  ...Object.fromEntries(
    programs.map(({ name }) => [
      name,
      sh(`${name}-save${counters ? ' -c' : ''}`)
        .replaceAll(/^#.*\n/gm, '')
        .replaceAll(/ \[\d+:\d+\]$/gm, ''),
    ]),
  ),
  nft: sh('nft list tables')
    .split('\n')
    .filter((line) => line !== '' && !iptablesTable.test(line))
    .map((line) => sh(`nft -s list ${line}`))
    .join(''),
  sets: sh('ipset list').replaceAll(/^(?:Header|Size in memory|References):.*\n/gm, ''),
})
