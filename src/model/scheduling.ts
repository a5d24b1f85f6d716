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

/** How the connections of a Service are spread. */
export interface Scheduling {
  readonly scheduler: Scheduler
  readonly flags: readonly SchedulerFlag[]
  /** endpoint IP, pod name, node name or zone → weight; the most specific wins; 0 drains. 0 to 65535. */
  readonly weights: ReadonlyMap<string, number> | undefined
}

/** What every backend but IPVS does where nothing else is asked for. */
export const defaultScheduling: Scheduling = { scheduler: 'random', flags: [], weights: undefined }

/** What the annotations of a Service ask for. */
export interface RequestedScheduling extends Pick<Scheduling, 'flags' | 'weights'> {
  /** undefined: none by name, so the backend's default. */
  readonly scheduler: Scheduler | undefined
}

export const nothingRequested: RequestedScheduling = { ...defaultScheduling, scheduler: undefined }
