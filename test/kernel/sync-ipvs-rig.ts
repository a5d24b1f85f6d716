import { IpvsBackend, type IpvsDrift } from '../../src/backends/ipvs/backend.ts'
import type { IpvsPlan } from '../../src/backends/ipvs/plan.ts'
import { ProblemReports } from '../../src/backends/ipvs/problem-reports.ts'
import type { IpvsSettings } from '../../src/backends/ipvs/settings.ts'
import { type Family, families } from '../../src/model/ip.ts'
import type { Problem } from '../../src/model/problem.ts'
import { TestClock } from './sync-clock.ts'
import { TestWatch } from './sync-iptables-faults.ts'
import { Journal, journaled, type ServerKernel } from './sync-ipvs-kernel.ts'
import { BackendRig, type LoopOptions } from './sync-rig.ts'

export const ipvsSettings = (family: Family, over: Partial<IpvsSettings> = {}): IpvsSettings => ({
  ...{ family, scheduler: 'rr', excludeCidrs: [], drainMs: 0, randomFully: true },
  ...over,
})

/** Remembers its plans. */
export class RecordingIpvs extends IpvsBackend {
  readonly plans: IpvsPlan[] = []

  override plan(...args: Parameters<IpvsBackend['plan']>): IpvsPlan {
    const plan = super.plan(...args)
    this.plans.push(plan)
    return plan
  }
}

export interface IpvsRigOptions extends LoopOptions {
  readonly kernel: ServerKernel
  readonly journal?: Journal
  readonly timers?: TestClock
  readonly watch?: TestWatch
  readonly over?: Partial<IpvsSettings>
}

/** Mode ipvs from the tracker to the kernel. Time passes for drains and looks when the test says so. */
export class IpvsRig extends BackendRig<RecordingIpvs> {
  readonly kernel: ServerKernel
  readonly journal: Journal
  readonly timers: TestClock
  readonly watch: TestWatch
  readonly problems: Problem[]
  /** Of drains and looks. */
  readonly errors: unknown[]
  readonly drifts: { readonly family: Family; readonly reason: IpvsDrift }[]

  constructor({
    kernel,
    journal = new Journal(),
    timers = new TestClock(),
    watch = new TestWatch(),
    over = {},
    ...loop
  }: IpvsRigOptions) {
    const { iptables, ...shared } = journaled(kernel, journal)
    const found: Problem[] = []
    const errors: unknown[] = []
    const problems = new ProblemReports((problem) => found.push(problem))
    const drifts: { readonly family: Family; readonly reason: IpvsDrift }[] = []
    const backend = (family: Family): RecordingIpvs =>
      new RecordingIpvs({
        ...shared,
        ...{ family, watch, timers, problems, iptables: iptables[family], settings: ipvsSettings(family, over) },
        onDrift: (drifted, reason) => {
          drifts.push({ family: drifted, reason })
          this.loop.distrust(drifted, reason)
        },
        onError: (error) => errors.push(error),
      })
    const [first, ...rest] = families
    super([backend(first), ...rest.map(backend)], loop)
    this.kernel = kernel
    this.journal = journal
    this.timers = timers
    this.watch = watch
    this.problems = found
    this.errors = errors
    this.drifts = drifts
  }

  close(): void {
    for (const backend of this.backends) backend.close()
  }
}
