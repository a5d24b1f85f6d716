/**
 * For the guest: what kube-proxy in mode ipvs leaves behind is removed, and what looks alike stays. Its state is made by the tools, and
 * they are the judges. Prints comparisons.
 */
import { setName } from '../../src/backends/ipvs/sets.ts'
import { noCounts } from '../../src/backends/takeover/report.ts'
import { findLeftovers, removeLeftovers } from '../../src/backends/takeover/takeover.ts'
import { writeComparison } from './comparison.ts'
import { lines, sh } from './ipvs-listing.ts'

const { signal } = new AbortController()

const state = (): Record<string, readonly string[]> => ({
  servers: lines(sh('ipvsadm -Sn')).toSorted(),
  sets: lines(sh('ipset list -name')).toSorted(),
  devices: lines(sh('ls /sys/class/net')).toSorted(),
})

writeComparison('nothing is there', await removeLeftovers(signal), { counts: noCounts, left: [], errors: [] })
writeComparison('and looking has not loaded IPVS', sh('ls /proc/net | grep -c ip_vs || :'), '0\n')

const foreign = `-A -t 198.51.100.1:80 -s rr
-a -t 198.51.100.1:80 -r 10.244.0.9:80 -m -w 1
-A -t 192.0.2.1:31000 -s rr
-A -u 192.0.2.1:30000 -s rr
-A -t 192.0.2.2:30000 -s rr
-A -t [2001:db8::1]:30001 -s rr
-A -f 65538 -s rr
-A -f 65537 -6 -s rr
-A -t 203.0.113.5:81 -s rr
`
const ours = `-A -t 10.96.0.1:443 -s rr -p 10800
-a -t 10.96.0.1:443 -r 10.244.0.1:6443 -m -w 1
-A -u 10.96.0.10:53 -s rr
-A -t [fd00:96::1]:443 -s rr
-a -t [fd00:96::1]:443 -r [fd00:244::1]:6443 -m -w 1
-A -t 192.0.2.1:30000 -s rr
-A -u 192.0.2.1:30001 -s rr
-A --sctp-service 192.0.2.1:30002 -s rr
-A -t [2001:db8::1]:30000 -s rr
-A -t 203.0.113.5:80 -s rr
-A -t [2001:db8:5::5]:80 -s rr
-A -f 65537 -s rr
-A -f 65538 -6 -s rr
`
const sets = `create KUBE-CLUSTER-IP hash:ip,port
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30000
create KUBE-NODE-PORT-UDP bitmap:port range 0-65535
add KUBE-NODE-PORT-UDP 30001
create KUBE-NODE-PORT-SCTP-HASH hash:ip,port
add KUBE-NODE-PORT-SCTP-HASH 192.0.2.1,sctp:30002
create KUBE-6-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-6-NODE-PORT-TCP 30000
create KUBE-EXTERNAL-IP hash:ip,port comment
add KUBE-EXTERNAL-IP 203.0.113.5,tcp:80 comment "default/web"
create KUBE-6-LOAD-BALANCER hash:ip,port family inet6
add KUBE-6-LOAD-BALANCER 2001:db8:5::5,tcp:80
create ${setName('INSIDE', 'IPv4')} hash:ip,port skbinfo
add ${setName('INSIDE', 'IPv4')} 203.0.113.6,tcp:80 skbmark 0x10001
create ${setName('INSIDE', 'IPv6')} hash:ip,port family inet6 skbinfo
add ${setName('INSIDE', 'IPv6')} 2001:db8:5::6,tcp:80 skbmark 0x10002
`
for (const line of [
  'link add eth0 type dummy',
  'address add 192.0.2.1/24 dev eth0',
  'address add 2001:db8::1/64 dev eth0 nodad',
  'link add kube-ipvs1 type dummy',
])
  sh(`ip ${line}`)
sh('ipvsadm -R', foreign)
sh('ipset restore', 'create KUBE-MINE hash:ip\n')
const before = state()
sh('ip link add kube-ipvs0 type dummy')
for (const address of ['10.96.0.1/32', '10.96.0.10/32', 'fd00:96::1/128'])
  sh(`ip address add ${address} dev kube-ipvs0`)
sh('ipset restore', sets)
sh('ipvsadm -R', ours)
const programmed = state()

const count = (text: string, begin: string): number => lines(text).filter((line) => line.startsWith(begin)).length
const counts = { ...noCounts, virtualServers: count(ours, '-A'), sets: count(sets, 'create'), devices: 1 }
writeComparison('found', (await findLeftovers(signal)).counts, counts)
writeComparison('looking changes nothing', state(), programmed)
writeComparison('removed', await removeLeftovers(signal), { counts, left: [], errors: [] })
writeComparison('and nothing else', state(), before)
writeComparison('a second time', await removeLeftovers(signal), { counts: noCounts, left: [], errors: [] })
writeComparison('changes nothing', state(), before)
