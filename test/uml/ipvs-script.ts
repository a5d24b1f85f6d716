/** What a kernel's IPVS and FakeIpvs must answer alike: changes and refusals, step by step. */
import type { Forwarding, IpvsChange, VirtualServer, VirtualServerFlag } from '../../src/kernel/ipvs/ipvs.ts'
import { add, adjust, at, attach, detach, drop, marked, set } from './ipvs-changes.ts'

export interface Step {
  readonly name: string
  readonly changes: readonly IpvsChange[]
}

/** Every scheduler of the guest's kernel. */
export const guestSchedulers = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
] as const

const flagSets: readonly (readonly VirtualServerFlag[])[] = [
  ['onePacket'],
  ['sched1'],
  ['sched2'],
  ['sched1', 'sched2'],
  ['persistent', 'onePacket', 'sched1', 'sched2'],
]
const persistence = (seconds: number, prefix: number): Partial<VirtualServer> => ({
  flags: ['persistent'],
  persistenceSeconds: seconds,
  persistencePrefix: prefix,
})
const forwardings = ['masquerade', 'direct', 'tunnel', 'local', 'bypass'] as const satisfies readonly Forwarding[]

const [v4, v6, udp, sctp, sctp6] = [
  at('10.96.0.1', 443),
  at('fd00:96::1', 443),
  at('10.96.0.10', 53, 'UDP'),
  at('10.96.0.11', 9, 'SCTP'),
  at('fd00:96::11', 9, 'SCTP'),
]
const [seven, seven6, largest] = [marked(7), marked(7, 'IPv6'), marked(0xffff_ffff)]
const missing = at('10.96.9.9', 9)

export const steps: readonly Step[] = [
  { name: 'nothing', changes: [] },
  {
    name: 'virtual servers of every kind',
    changes: [v4, v6, udp, sctp, sctp6, seven, seven6, largest].map((id) => add(id)),
  },
  {
    name: 'the same again, and what differs in one part of the name',
    changes: [
      ...[v4, v6, seven, seven6].map((id) => add(id)),
      add(at('10.96.0.1', 444)),
      add(at('10.96.0.1', 443, 'UDP')),
      add(at('10.96.0.2', 443)),
      add(marked(8)),
    ],
  },
  {
    name: 'every scheduler, on creation and later',
    changes: [
      ...guestSchedulers.map((scheduler, i) => add(at('10.96.1.1', i + 1), { scheduler })),
      ...guestSchedulers.map((scheduler) => set(v6, { scheduler })),
      add(at('10.96.1.2', 1), { scheduler: 'none' }),
      set(v6, { scheduler: 'none' }),
    ],
  },
  {
    name: 'schedulers that there are not',
    changes: ['nonesuch', '', 'ROUNDROBIN', 'abcdefghijklmno', 'abcdefghijklmnop', 'rr rr', 'r\0r', 'é'].flatMap(
      (scheduler) => [add(at('10.96.1.3', 1), { scheduler }), set(v4, { scheduler })],
    ),
  },
  {
    name: 'flags, which a later setting replaces',
    changes: [
      ...flagSets.map((flags, i) => add(at('10.96.2.1', i + 1), { scheduler: 'sh', flags, persistenceSeconds: 60 })),
      ...flagSets.map((flags, i) =>
        add(at('10.96.2.2', i + 1, 'UDP'), { scheduler: 'mh', flags, persistenceSeconds: 60 }),
      ),
      ...flagSets.map((flags, i) =>
        add(at('10.96.2.3', i + 1), { scheduler: 'wlc', flags: [...flags, 'sched3'], persistenceSeconds: 60 }),
      ),
      set(at('10.96.2.1', 5), { scheduler: 'sh', flags: ['sched2'] }),
      set(at('10.96.2.1', 1), { scheduler: 'sh', flags: ['sched1'] }),
      // In another order than the kernel's.
      set(at('10.96.2.1', 2), { scheduler: 'sh', flags: ['sched2', 'onePacket', 'sched1'] }),
    ],
  },
  {
    name: 'persistence',
    changes: [
      add(at('10.96.3.1', 0), persistence(10800, 32)),
      ...[0, 1, 8, 23, 31, 32].map((prefix) => add(at('10.96.3.2', prefix + 1), persistence(86400, prefix))),
      ...[1, 2, 64, 127, 128].map((prefix) => add(at('fd00:96::32', prefix + 1), persistence(1, prefix))),
      add(marked(33), persistence(300, 24)),
      add(marked(33, 'IPv6'), persistence(300, 56)),
      add(at('10.96.3.3', 1), persistence(0, 32)),
      add(at('10.96.3.3', 2), persistence(4_294_967, 32)),
      set(v4, persistence(600, 24)),
      set(v4, { persistenceSeconds: 600, persistencePrefix: 24 }),
    ],
  },
  {
    name: 'persistence that there cannot be',
    changes: [
      add(at('fd00:96::33', 1), persistence(1, 0)),
      add(at('fd00:96::33', 1), persistence(1, 129)),
      set(v6, persistence(1, 0)),
      add(at('10.96.3.4', 1), persistence(1, 33)),
      add(at('10.96.3.4', 1), persistence(-1, 32)),
      add(at('10.96.3.4', 1), persistence(1.5, 32)),
      add(at('10.96.3.4', 1), persistence(4_294_968, 32)),
    ],
  },
  {
    name: 'names that there cannot be',
    changes: [
      add(marked(0)),
      drop(marked(0)),
      add(marked(2 ** 32)),
      add(marked(-1)),
      add(at('10.96.0.1', 65_536)),
      add(at('10.96.0.1', -1)),
      drop(at('10.96.0.1', 65_536 + 443)),
      attach(v4, '10.244.0.1', 65_536),
      attach(marked(2 ** 32 + 7), '10.244.0.1', 1),
      detach(v4, '10.244.0.1', 65_536),
    ],
  },
  {
    name: 'virtual servers that there are not',
    changes: [
      set(missing),
      drop(missing),
      attach(missing, '10.244.0.1', 1),
      adjust(missing, '10.244.0.1', 1),
      detach(missing, '10.244.0.1', 1),
      set(missing, { scheduler: 'nonesuch' }),
      attach(missing, '0.0.0.0', 1),
      attach(missing, 'fd00:244::1', 1),
      attach(missing, '10.244.0.1', 1, { upperThreshold: 1, lowerThreshold: 2 }),
      drop(marked(99)),
      drop(at('10.96.0.1', 443, 'SCTP')),
    ],
  },
  {
    name: 'real servers, the newest first',
    changes: [
      ...[1, 2, 3].map((i) => attach(v4, `10.244.0.${i}`, 6443, { weight: i })),
      attach(v4, '10.244.0.1', 6444),
      ...[1, 2, 3].map((i) => attach(v6, `fd00:244::${i}`, 6443)),
      attach(udp, '10.244.0.1', 53),
      attach(sctp, '10.244.0.1', 9),
      attach(sctp6, 'fd00:244::1', 9),
      attach(seven, '10.244.0.1', 8080),
      attach(seven, '10.244.0.1', 8081),
      attach(seven6, 'fd00:244::1', 8080),
      attach(largest, '10.244.0.1', 1),
      ...forwardings.map((forwarding, i) => attach(at('10.96.0.2', 443), `10.244.1.${i + 1}`, 443, { forwarding })),
      attach(at('10.96.0.2', 443), '10.244.2.1', 8443, { forwarding: 'direct' }),
      attach(at('10.96.0.2', 443), '10.244.2.2', 0, { forwarding: 'tunnel' }),
    ],
  },
  {
    name: 'weights, thresholds, forwarding: set where they are',
    changes: [
      adjust(v4, '10.244.0.2', 6443, { weight: 0 }),
      adjust(v4, '10.244.0.1', 6443, { weight: 2 ** 31 - 1, upperThreshold: 100, lowerThreshold: 100 }),
      adjust(v4, '10.244.0.3', 6443, { upperThreshold: 2 ** 31 - 1, lowerThreshold: 1, forwarding: 'tunnel' }),
      attach(v4, '10.244.0.4', 6443, { weight: 65_536, upperThreshold: 5 }),
    ],
  },
  {
    name: 'real servers that there cannot be',
    changes: [
      attach(v4, '10.244.0.1', 6443),
      attach(v4, '10.244.0.1', 6443, { forwarding: 'direct', weight: 5 }),
      adjust(v4, '10.244.0.9', 6443),
      detach(v4, '10.244.0.9', 6443),
      detach(v4, '10.244.0.1', 6445),
      detach(v4, 'fd00:244::1', 6443),
      attach(v4, '10.244.0.8', 1, { weight: 2 ** 31 }),
      attach(v4, '10.244.0.8', 1, { weight: -1 }),
      adjust(v4, '10.244.0.1', 6443, { weight: 2 ** 32 }),
      attach(v4, '10.244.0.8', 1, { upperThreshold: 1, lowerThreshold: 2 }),
      attach(v4, '10.244.0.8', 1, { lowerThreshold: 1 }),
      adjust(v4, '10.244.0.1', 6443, { lowerThreshold: 1 }),
      adjust(v4, '10.244.0.9', 6443, { lowerThreshold: 1 }),
      attach(v4, '10.244.0.1', 6443, { lowerThreshold: 1 }),
      attach(v4, '10.244.0.8', 1, { upperThreshold: 2 ** 32 }),
      ...['0.0.0.0', '0.1.2.3', '255.255.255.255', '224.0.0.1', '239.255.255.255', '203.0.113.255'].map((address) =>
        attach(v4, address, 1),
      ),
      ...['::', 'ff02::1', 'ff0e::1', 'fe80::1', 'febf::1'].map((address) => attach(v6, address, 1)),
      adjust(v4, '0.0.0.0', 1),
      attach(v4, '0.0.0.0', 1, { lowerThreshold: 1 }),
    ],
  },
  {
    name: 'real servers that one might think there cannot be',
    changes: [
      ...['127.0.0.1', '10.96.0.1', '240.0.0.1', '255.255.255.254', '203.0.113.7', '198.51.100.255'].map((address) =>
        attach(v4, address, 1),
      ),
      ...['::1', 'fec0::1', '2001:db8::1', 'fd00:96::1', '::2'].map((address) => attach(v6, address, 1)),
    ],
  },
  {
    name: 'from one family into the other',
    changes: [
      attach(v4, 'fd00:244::1', 1),
      attach(v4, 'fd00:244::1', 1, { forwarding: 'direct' }),
      attach(v4, 'fd00:244::1', 1, { forwarding: 'tunnel' }),
      attach(v6, '10.244.0.1', 1),
      attach(v6, '10.244.0.1', 1, { forwarding: 'tunnel', weight: 3 }),
      attach(seven6, '10.244.0.1', 1, { forwarding: 'tunnel' }),
      adjust(v6, '10.244.0.1', 1),
      adjust(v6, '10.244.0.1', 1, { forwarding: 'tunnel', weight: 4 }),
      adjust(v4, 'fd00:244::2', 1),
      attach(v4, 'fd00:244::2', 1, { lowerThreshold: 1 }),
      detach(v4, 'fd00:244::1', 1),
      detach(v4, 'fd00:244::1', 1),
    ],
  },
  {
    name: 'a batch with refusals among what is taken',
    changes: [
      add(at('10.96.4.1', 1)),
      attach(at('10.96.4.1', 1), '10.244.0.1', 1),
      attach(at('10.96.4.1', 1), '10.244.0.1', 1),
      attach(at('10.96.4.2', 1), '10.244.0.1', 1),
      add(at('10.96.4.2', 1), { scheduler: 'nonesuch' }),
      attach(at('10.96.4.2', 1), '10.244.0.1', 1),
      add(at('10.96.4.2', 1)),
      attach(at('10.96.4.2', 1), '0.0.0.0', 1),
      add(marked(0)),
      attach(at('10.96.4.2', 1), '10.244.0.1', 1),
      drop(at('10.96.4.1', 1)),
      drop(at('10.96.4.1', 1)),
    ],
  },
  {
    name: 'what goes and comes back',
    changes: [
      detach(v4, '10.244.0.2', 6443),
      attach(v4, '10.244.0.2', 6443, { weight: 9 }),
      detach(v4, '10.244.0.1', 6443),
      drop(v6),
      add(v6),
      attach(v6, 'fd00:244::9', 1),
      set(v4, { scheduler: 'wrr' }),
      drop(seven),
      add(seven, { scheduler: 'lc' }),
      drop(seven6),
    ],
  },
]
