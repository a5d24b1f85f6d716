import { type VirtualServer, type VirtualServerFlag, virtualServerFlags } from '../../kernel/ipvs/ipvs.ts'

const ofSchedulers: ReadonlySet<VirtualServerFlag> = new Set(['sched1', 'sched2', 'sched3'])

/** The same with the default scheduler, and without the flags of another one. */
export const withScheduler = (server: VirtualServer, scheduler: string): VirtualServer => {
  if (server.scheduler === scheduler) return server
  // As kube-proxy does for the scheduler that it is started with.
  const own: ReadonlySet<VirtualServerFlag> = new Set(scheduler === 'mh' ? ['sched2'] : [])
  const kept = (flag: VirtualServerFlag): boolean => server.flags.includes(flag) && !ofSchedulers.has(flag)
  return { ...server, scheduler, flags: virtualServerFlags.filter((flag) => kept(flag) || own.has(flag)) }
}
