import type { RealServer, VirtualServerFlag } from '../../kernel/ipvs/ipvs.ts'
import { virtualServerFlags } from '../../kernel/ipvs/ipvs.ts'
import { maxBits } from '../../model/cidr.ts'
import type { ForwardingMethod } from '../../model/connections.ts'
import type { ServiceState, Target } from '../../model/desired.ts'
import type { SchedulerFlag } from '../../model/scheduling.ts'
import type { TrafficPolicy } from '../../model/service.ts'
import { canDrain } from './can-drain.ts'
import type { VirtualServerShape } from './layout-types.ts'
import type { IpvsSettings } from './settings.ts'

/** What the flags of sh and mh are called in the kernel (IP_VS_SVC_F_SCHED_SH_FALLBACK and so on). */
const kernelFlags = {
  'sh-fallback': 'sched1',
  'mh-fallback': 'sched1',
  'sh-port': 'sched2',
  'mh-port': 'sched2',
} as const satisfies Record<SchedulerFlag, VirtualServerFlag>

export const shapeOf = (state: ServiceState, settings: IpvsSettings): VirtualServerShape => {
  const { affinitySeconds, scheduling, family } = state
  const asked = scheduling.scheduler !== 'random'
  const scheduler = asked ? scheduling.scheduler : settings.scheduler
  const flags = new Set<VirtualServerFlag>()
  if (affinitySeconds !== undefined) flags.add('persistent')
  for (const flag of scheduling.flags) if (flag.startsWith(`${scheduler}-`)) flags.add(kernelFlags[flag])
  // Else the clients of a real server that drains are refused, instead of going to others.
  if (scheduler === 'sh' || scheduler === 'mh') flags.add('sched1')
  // As kube-proxy does for the scheduler that it is started with.
  if (!asked && scheduler === 'mh') flags.add(kernelFlags['mh-port'])
  return {
    scheduler,
    flags: virtualServerFlags.filter((flag) => flags.has(flag)),
    persistenceSeconds: affinitySeconds ?? 0,
    persistencePrefix: maxBits(family),
  }
}

/** Targets under a policy, and behind them what is drained, if the scheduler can: under policy Local, of this node. */
export const targetsUnder = (
  policy: TrafficPolicy,
  { cluster, local, drained = [] }: ServiceState,
  scheduler: string,
): readonly Target[] => {
  const draining = canDrain(scheduler) ? drained : []
  return policy === 'Local' ? [...local, ...draining.filter((target) => target.local)] : [...cluster, ...draining]
}

export const realServers = (targets: readonly Target[], forwarding: ForwardingMethod): readonly RealServer[] =>
  targets.map(({ ip, port, weight }) => ({ ip, port, forwarding, weight, upperThreshold: 0, lowerThreshold: 0 }))
