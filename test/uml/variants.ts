import type { SchedulerFlag, Scheduler as SchedulerName } from '../../src/model/scheduling.ts'

/** What may happen to a virtual server. */
export const steps = ['open', 'close', 'open-and-close', 'open-again', 'weight', 'thresholds', 'remove', 'add'] as const
export type Step = (typeof steps)[number]

/** One virtual server of the guest, and what happens to it. */
export interface Variant {
  readonly name: string
  /** Bound in turn, one per chapter, to the servers that are there by then. Most variants have one that stays. */
  readonly schedulers: readonly [SchedulerName, ...SchedulerName[]]
  readonly flags: readonly SchedulerFlag[]
  readonly family: 'IPv4' | 'IPv6'
  readonly protocol: 'TCP' | 'UDP'
  /** By firewall mark, so that clients may ask for any destination; by address where the destination is always the same. */
  readonly by: 'address' | 'mark'
  /** Real servers to begin with. */
  readonly servers: number
  /** What weights are taken from. */
  readonly weights: readonly [number, ...number[]]
  /** How often each kind of step comes, in parts of their sum. */
  readonly mix: Readonly<Record<Step, number>>
  /** Whether connections come to their end between chapters. */
  readonly retires: boolean
  /** The sysctl lblcr_expiration, in seconds. */
  readonly expiration: number
  readonly chapters: number
  readonly stepsPerChapter: number
  readonly rival: Rival
}

/** A scheduler that the kernel must not agree with: the steps have to tell it from the right one. */
export interface Rival {
  readonly name: string
  readonly scheduler: SchedulerName
  readonly flags: readonly SchedulerFlag[]
  readonly expiration: number
  /** Counts load as kernels of the other overhead model do. */
  readonly otherOverhead: boolean
}

/** The kernel's. */
export const defaultExpiration = 86400

const usual: Variant['mix'] = {
  open: 50,
  close: 17,
  'open-and-close': 0,
  'open-again': 4,
  weight: 12,
  thresholds: 5,
  remove: 6,
  add: 6,
}
/** 256 connections that were closed weigh as much as one that is open: with so many, one more or less decides. */
const mostlyClosing: Variant['mix'] = {
  open: 3,
  close: 2,
  'open-and-close': 600,
  'open-again': 1,
  weight: 0,
  thresholds: 0,
  remove: 0,
  add: 0,
}
const small = [0, 1, 1, 2, 2, 3, 4, 5, 8, 12, 50] as const
/** Up to the largest that the kernel takes. Not for wrr, which would count down from there one by one. */
const large = [0, 1, 2, 3, 1000, 65535, 65536, 1_000_003, 2 ** 31 - 2, 2 ** 31 - 1] as const
/** Variations on a scheduler that has a full run already. */
const short = { chapters: 4, stepsPerChapter: 75 } as const
const marked = { by: 'mark' } as const
const udp = { protocol: 'UDP' } as const
const ipv6 = { family: 'IPv6' } as const

const against = (scheduler: SchedulerName, rest: Partial<Rival> = {}): Rival => ({
  name: [scheduler, ...(rest.flags ?? [])].join(' '),
  scheduler,
  flags: [],
  expiration: defaultExpiration,
  otherOverhead: false,
  ...rest,
})

const variant = (
  scheduler: SchedulerName,
  rival: Rival,
  suffix = '',
  ...rest: readonly Partial<Variant>[]
): Variant => ({
  name: `${scheduler}${suffix}`,
  schedulers: [scheduler],
  flags: [],
  family: 'IPv4',
  protocol: 'TCP',
  by: 'address',
  servers: 4,
  weights: small,
  mix: usual,
  retires: true,
  expiration: defaultExpiration,
  chapters: 7,
  stepsPerChapter: 80,
  rival,
  ...Object.assign({}, ...rest),
})

export const variants: readonly Variant[] = [
  variant('rr', against('wrr')),
  variant('wrr', against('rr')),
  variant('lc', against('wlc')),
  variant('wlc', against('sed')),
  variant('wlc', against('lc'), ', weights up to 2^31 - 1', short, { weights: large }),
  variant('wlc', against('wlc', { name: 'wlc of other kernels', otherOverhead: true }), ', mostly closing', {
    servers: 2,
    mix: mostlyClosing,
    weights: [1, 1, 2],
    retires: false,
    chapters: 6,
    stepsPerChapter: 400,
  }),
  variant('sed', against('wlc')),
  variant('sed', against('nq'), ' over UDP', udp, short),
  variant('nq', against('sed')),
  variant('nq', against('sed'), ' over UDP', udp, short),
  variant('fo', against('ovf')),
  variant('ovf', against('fo')),
  variant('ovf', against('wlc'), ' over UDP', udp, short),
  variant('dh', against('sh'), '', marked),
  variant('dh', against('sh'), ' over IPv6', marked, ipv6, short),
  variant('sh', against('dh')),
  variant('sh', against('sh'), ' with sh-port', short, { flags: ['sh-port'] }),
  variant('sh', against('sh'), ' with sh-fallback', { flags: ['sh-fallback'] }),
  variant('sh', against('sh', { flags: ['sh-fallback'] }), ' with sh-port and sh-fallback over IPv6', ipv6, short, {
    flags: ['sh-port', 'sh-fallback'],
  }),
  variant('mh', against('sh')),
  variant('mh', against('sh'), ', weights up to 2^31 - 1', short, { weights: large }),
  variant('mh', against('mh'), ' with mh-port', short, { flags: ['mh-port'] }),
  variant('mh', against('mh'), ' with mh-fallback', { flags: ['mh-fallback'] }),
  variant('mh', against('mh', { flags: ['mh-fallback'] }), ' with mh-port and mh-fallback over IPv6', ipv6, short, {
    flags: ['mh-port', 'mh-fallback'],
  }),
  variant('lblc', against('wlc'), '', marked),
  variant('lblc', against('wlc'), ' over IPv6', marked, ipv6, short),
  variant('lblcr', against('lblc'), '', marked),
  variant('lblcr', against('lblcr', { name: 'lblcr whose sets last' }), ' whose sets are old at once', marked, short, {
    expiration: 0,
  }),
  variant('wrr', against('rr'), ', then mh, lc, rr, sh, wrr, dh, lblcr', {
    schedulers: ['wrr', 'mh', 'lc', 'rr', 'sh', 'wrr', 'dh', 'lblcr'],
    chapters: 8,
    stepsPerChapter: 40,
  }),
]
