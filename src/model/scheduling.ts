/** LVS scheduler names (net/netfilter/ipvs/ip_vs_*.c), and `random`, which is what kube-proxy does. */
export const schedulers = [
  'random',
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'sh',
  'dh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
  'twos',
] as const
export type Scheduler = (typeof schedulers)[number]

export const schedulerFlags = ['sh-fallback', 'sh-port', 'mh-fallback', 'mh-port'] as const
export type SchedulerFlag = (typeof schedulerFlags)[number]

/** What the annotations of a Service ask for. */
export interface Scheduling {
  readonly scheduler: Scheduler
  readonly flags: readonly SchedulerFlag[]
  /** endpoint IP, pod name, node name or zone → weight; the most specific wins; 0 drains. 0 to 65535. */
  readonly weights: ReadonlyMap<string, number> | undefined
}

export const defaultScheduling: Scheduling = { scheduler: 'random', flags: [], weights: undefined }
